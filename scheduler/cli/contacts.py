"""``duly contacts``: people by the file. Nothing changes before every row has been checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scheduler import clock
from scheduler.api import imports as shown
from scheduler.api.instants import format_instant
from scheduler.cli.import_told import show_mapping, show_outcome
from scheduler.cli.output import echo_json, print_table, write_private
from scheduler.doorbell import ring
from scheduler.errors import Conflict, Invalid
from scheduler.imports import registry
from scheduler.imports.ahead import Ahead
from scheduler.imports.applying import apply_next
from scheduler.imports.exporting import Format, export_part, start_export
from scheduler.imports.mapping import parse_assignment
from scheduler.imports.staging import stage_file
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import validate_next
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import Terminal, echo, echo_data

app = typer.Typer(help="Import people from CSV files, and export them.", no_args_is_help=True)

_ACTOR = "cli"
_JSON = typer.Option(False, "--json", help="As JSON.")
#: Seconds between two looks at an import that a worker is at.
_LOOK_AGAIN = 0.1
_Next = Callable[[int], ContactImport | None]


@app.command("import")
def import_file(
    file: Path | None = typer.Argument(None, help="A CSV file in UTF-8 with a header; - is standard input."),
    page: str | None = typer.Option(None, help="The platform's id of the page that knows the people."),
    columns: list[str] = typer.Option(
        [], "--map", metavar="COLUMN=FIELD", help="Take a column for a field; an empty field ignores it. Repeatable."
    ),
    constants: list[str] = typer.Option(
        [], "--set", metavar="FIELD=VALUE", help="What is so in every row: consent.source=checkout. Repeatable."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check everything, show it, and change nothing."),
    skip_errors: bool = typer.Option(False, "--skip-errors", help="Apply the good rows; else all rows or none."),
    skip_cells: bool = typer.Option(
        False, "--skip-cells", help="Leave out a bad cell instead of its row, where the row can do without it."
    ),
    errors: Path | None = typer.Option(None, help="Write everything that is wrong to this CSV file."),
    resume: int | None = typer.Option(None, min=1, help="Go on with this import instead of a file."),
    as_json: bool = _JSON,
) -> None:
    """Import people from a CSV file: all rows are checked before any is applied. Ends with 2 when rows have errors."""
    if resume is not None:
        import_id = _resumed(resume, unused=(file, page, columns or None, constants or None, skip_cells or None))
        before = None
    else:
        before = _upload(file, page, columns, constants, skip_cells=skip_cells)
        import_id = before.import_.id
        if not as_json:
            show_mapping(before)
    _run("checking", import_id, "validating", validate_next, lambda seen: seen.checked, quiet=as_json)
    if errors is not None:
        write_private(errors, shown.error_text(import_id), option="--errors")
    seen = _read(import_id)
    if dry_run:
        with database.session() as session:
            registry.discard(session, import_id, actor=_ACTOR, now=clock.now())
    elif seen.status == "validated" and (skip_errors or not seen.bad):
        with database.session() as session:
            registry.start_applying(session, import_id, skip_errors=skip_errors, actor=_ACTOR, now=clock.now())
    if not dry_run:
        with Ahead() as ahead:
            step = partial(apply_next, ahead=ahead)
            _run("applying", import_id, "applying", step, lambda seen: seen.cursor, quiet=as_json)
    seen = _read(import_id)
    if seen.counts:
        ring("deliver")
    if as_json:
        preview = [row.model_dump(mode="json") for row in before.rows] if before is not None else []
        echo_json({**seen.model_dump(mode="json"), "dry_run": dry_run, "preview": preview})
    else:
        show_outcome(seen, dry_run=dry_run, errors=errors)
    if seen.bad and not (seen.status == "applied" and skip_errors):
        raise typer.Exit(Invalid.exit_code)


@app.command("imports")
def list_all(
    page: str | None = typer.Option(None, help="Only those of this page, by the platform's id."),
    limit: int = typer.Option(50, min=1, max=1000, help="At most so many."),
    as_json: bool = _JSON,
) -> None:
    """Show imports, newest first."""
    with database.session() as session:
        page_id = _page_id(session, page) if page is not None else None
        rows = shown.views(session, registry.list_imports(session, page_id=page_id, limit=limit))
    if as_json:
        echo_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("id", "page", "file", "status", "rows", "bad", "done", "by", "uploaded"),
        [
            (
                *(str(row.id), row.page, row.name, row.status, str(row.rows), str(row.bad), str(row.done), row.actor),
                format_instant(row.created_at),
            )
            for row in rows
        ],
        whole=("id", "page", "status"),
        none="no imports yet; `duly contacts import FILE --page P` makes one",
    )


@app.command()
def discard(import_id: int = typer.Argument(min=1, help="The import's id.")) -> None:
    """Forget a file that was not applied."""
    with database.session() as session:
        registry.discard(session, import_id, actor=_ACTOR, now=clock.now())
    echo(f"discarded import {import_id}")


@app.command()
def errors(import_id: int = typer.Argument(min=1, help="The import's id.")) -> None:
    """Print everything that is wrong with a file, as CSV."""
    _read(import_id)
    for part in shown.error_text(import_id):
        echo_data(part)


@app.command()
def export(
    page: str = typer.Option(..., help="The platform's id of the page that knows the people."),
    out: Path | None = typer.Option(None, help="The file to write; standard output when left out."),
    form: str = typer.Option("csv", "--format", help="csv, which imports again, or jsonl."),
) -> None:
    """Write everybody whom a page knows, with attributes, evidence and consent. The audit keeps that it was done."""
    kind = _format(form)
    with database.session() as session:
        page_id = _page_id(session, page)
        columns = start_export(session, page_id, form=kind, actor=_ACTOR, now=clock.now())
    people = 0

    def parts() -> Iterator[str]:
        nonlocal people
        after: int | None = 0
        while after is not None:
            with database.session() as session:
                part = export_part(session, page_id, columns, form=kind, after=after)
            people += part.people
            yield part.text
            after = part.last

    if out is None:
        for text in parts():
            # As bytes: the line ends are part of the format.
            sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    write_private(out, parts(), option="--out")
    echo(f"wrote {people} people to {out}", err=True)


def _upload(
    file: Path | None, page: str | None, columns: list[str], constants: list[str], *, skip_cells: bool
) -> shown.ImportPreview:
    if file is None:
        raise Invalid("no file was given", field="FILE", way_out="name a CSV file, or an import with --resume")
    if page is None:
        raise Invalid("no page was given", field="--page", way_out="name the page that knows the people")
    said = dict(parse_assignment(each, option="--map") for each in columns)
    fixed = dict(_constant(each) for each in constants)
    with _opened(file) as source, database.session() as session:
        now = clock.now()
        name = "standard input" if str(file) == "-" else file.name
        made = stage_file(session, _page_id(session, page), source, name=name, actor=_ACTOR, now=now)
        assert made.id is not None  # it was flushed
        if said or fixed:
            made = registry.map_columns(session, made.id, said=said, constants=fixed)
        before = shown.preview_view(session, made, now)
        registry.start_validation(session, before.import_.id, skip_cells=skip_cells)
    return before


def _resumed(import_id: int, *, unused: tuple[object, ...]) -> int:
    if any(each is not None for each in unused):
        raise Invalid(
            "goes on with the file, the page and the mapping that the import has",
            field="--resume",
            way_out="leave FILE, --page, --map, --set and --skip-cells out, or leave --resume out to import a file",
        )
    with database.session() as session:
        found = registry.resume(session, import_id)
        if found.status == "uploaded":
            found = registry.start_validation(session, import_id)
        if found.status in ("applied", "discarded"):
            raise Conflict(f"import {import_id} is {found.status}", field="--resume", way_out="import the file again")
    return import_id


def _run(
    doing: str, import_id: int, status: str, step: Any, far: Callable[[ContactImport], int], *, quiet: bool
) -> None:
    """Take step after step until the import has left ``status``; a worker that does the same is watched."""
    console = Terminal(stderr=True)
    bar = Progress(
        TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=quiet or not console.is_terminal, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task(doing, total=None)
        while True:
            with database.session() as session:
                seen = step(session, clock.now(), import_id=import_id)
            if seen is None:
                with database.session() as session:
                    seen = registry.get_import(session, import_id)
                if seen.status == status:
                    time.sleep(_LOOK_AGAIN)
            bar.update(task, completed=far(seen), total=seen.row_count)
            if seen.status != status:
                return


def _read(import_id: int) -> shown.ImportView:
    with database.session() as session:
        return shown.view(session, registry.get_import(session, import_id))


def _constant(given: str) -> tuple[str, str]:
    field, divider, value = given.partition("=")
    if not divider or not field.strip():
        raise Invalid(f"`{given[:64]}` has no `=`", field="--set", way_out="write field=value, like country=DE")
    return field.strip(), value


def _format(given: str) -> Format:
    if given == "csv":
        return "csv"
    if given == "jsonl":
        return "jsonl"
    raise Invalid(f"`{given[:32]}` is not a format", field="--format", way_out="use csv or jsonl")


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise Invalid(
            f"`{file}` cannot be read ({error.strerror})", field="FILE", way_out="name a readable CSV file"
        ) from None
    with source:
        yield source


def _page_id(session: Any, external_id: str) -> int:
    page_id = get_page(session, external_id).id
    assert page_id is not None  # a stored page has its id
    return page_id
