"""Contacts by the file over REST: upload, map, validate, apply; and everybody out again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from scheduler.api import web_clock
from scheduler.api.auth import Actor
from scheduler.api.heavy import HEAVY
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.doorbell import ring
from scheduler.imports import registry
from scheduler.imports.exporting import Columns, Format, export_part, start_export
from scheduler.imports.rows import Reading
from scheduler.imports.staging import stage_file
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import preview
from scheduler.pages.registry import get_page, list_pages
from scheduler.store import database
from scheduler.store.work import Work

router = APIRouter(tags=["imports"])

ImportInPath = Annotated[int, Path(ge=1, le=2**63 - 1, description="The import's id.")]
#: Of an upload that stays in memory.
_IN_MEMORY = 1024 * 1024
_CSV = "text/csv; charset=utf-8"
_FILE_BODY = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}
_CSV_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class Mapping(Body):
    """Which column is which field."""

    columns: dict[str, str] = Field(
        default_factory=dict,
        description="column → field; an empty field ignores the column. Columns left out are as their headers suggest.",
        examples=[{"E-Mail": "email", "Points": "attributes.points:number"}],
    )
    constants: dict[str, str] = Field(
        default_factory=dict,
        description="field → what it is in every row.",
        examples=[{"consent.kind": "express", "consent.source": "checkout form"}],
    )


class Validate(Body):
    """How to validate."""

    skip_cells: bool = Field(
        False, description="Leave out a bad cell instead of its row, where the row can do without it."
    )


class Apply(Body):
    """How to apply."""

    skip_errors: bool = Field(False, description="Apply the rows without errors; else all rows or none.")


class ErrorKind(BaseModel):
    """Something that is wrong with rows of a file."""

    field: str | None
    problem: str
    severity: str = Field(
        description="error: the rows are not applied. dropped: without the cell. warning: as they are."
    )
    rows: int
    first_line: int


class ImportView(BaseModel):
    """A file of contacts on its way in."""

    id: int
    page: str
    name: str
    status: str = Field(description="uploaded, validating, validated, applying, applied, failed or discarded.")
    headers: list[str]
    mapping: dict[str, str] = Field(description="column → field. Columns that are not here are not imported.")
    constants: dict[str, str]
    rows: int
    checked: int = Field(description="Rows that have been validated.")
    bad: int = Field(description="Rows with an error.")
    done: int = Field(description="Rows that have been applied, or skipped.")
    skip_errors: bool
    skip_cells: bool
    asked: list[str] = Field(
        description="Columns that look as if they said who wants no messages. Map each, or leave it out with an empty "
        "field, before the file is validated."
    )
    counts: dict[str, int] = Field(
        description="What was done: people created, updated, unchanged, refused (erased); links, consents, opt_outs."
    )
    errors: list[ErrorKind] = Field(description="What is wrong most often, of one import; all of it is in errors.csv.")
    warnings: list[ErrorKind] = Field(description="What is to be looked at, or was left out, in rows that are applied.")
    sha256: str
    actor: str
    created_at: Instant
    validated_at: Instant | None
    applied_at: Instant | None


class PreviewRow(BaseModel):
    """A row as it would be applied."""

    line: int
    psid: str | None = Field(description="null: the person is found by an identity.")
    known: dict[str, Any]
    problems: list[dict[str, str | None]]


class ImportPreview(BaseModel):
    """An import and its first rows."""

    import_: ImportView = Field(alias="import", serialization_alias="import")
    rows: list[PreviewRow]


class ImportList(BaseModel):
    """Imports, newest first."""

    items: list[ImportView]
    next_cursor: str | None


@router.post("/pages/{page}/imports", status_code=201, openapi_extra=_FILE_BODY)
async def upload(
    page: PageInPath,
    request: Request,
    actor: Actor,
    name: Annotated[str, Query(max_length=200, description="What the file is called.")] = "upload.csv",
) -> ImportPreview:
    """Upload a CSV file as the body. Answers with the mapping that its headers suggest and the first rows by it.

    Nothing about anybody changes until it is validated and applied.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as kept:
        # First here, then into the database: a slow sender must not hold a connection.
        async for part in request.stream():
            await run_in_threadpool(kept.write, part)
        return await run_in_threadpool(_stage, page, kept, name, actor)


def _stage(page: str, kept: IO[bytes], name: str, actor: str) -> ImportPreview:
    kept.seek(0)
    now = web_clock.heeded()
    with database.session("upload") as session:
        made = stage_file(session, _page_id(session, page), kept, name=PurePath(name).name, actor=actor, now=now)
        return preview_view(session, made, now)


@router.get("/imports")
def list_some(
    session: Db,
    page: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}$", description="Of this page.")
    ] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ImportList:
    """Imports, newest first."""
    page_id = _page_id(session, page) if page is not None else None
    found = registry.list_imports(session, page_id=page_id, before=int(cursor) if cursor else None, limit=limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return ImportList(items=views(session, found[:limit]), next_cursor=str(more) if more is not None else None)


@router.get("/imports/{import_id}")
def read(import_id: ImportInPath, session: Db) -> ImportView:
    """One import, how far it is and what is wrong with it."""
    return view(session, registry.get_import(session, import_id))


@router.get("/imports/{import_id}/preview")
def look_ahead(import_id: ImportInPath, session: Db, now: Now) -> ImportPreview:
    """The first rows as they would be applied. Gone once the import has ended."""
    return preview_view(session, registry.get_import(session, import_id), now)


@router.put("/imports/{import_id}/mapping")
def map_columns(import_id: ImportInPath, wanted: Mapping, session: Db, now: Now) -> ImportPreview:
    """Correct which column is which field; what had been validated is forgotten."""
    wanted.check()
    found = registry.map_columns(session, import_id, said=wanted.columns, constants=wanted.constants)
    return preview_view(session, found, now)


@router.post("/imports/{import_id}/validate", status_code=202)
def validate(import_id: ImportInPath, session: Db, after: BackgroundTasks, how: Validate | None = None) -> ImportView:
    """Have every row checked; workers do it. Follow `checked` until the status is `validated`."""
    if how is not None:
        how.check()
    found = registry.start_validation(session, import_id, skip_cells=how is not None and how.skip_cells)
    after.add_task(ring, "import")
    return view(session, found)


@router.post("/imports/{import_id}/apply", status_code=202)
def apply(
    import_id: ImportInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks, how: Apply | None = None
) -> ImportView:
    """Have what was validated applied; workers do it. Follow `done` until the status is `applied`.

    409 when rows have errors, unless told to skip them.
    """
    if how is not None:
        how.check()
    found = registry.start_applying(
        session, import_id, skip_errors=how is not None and how.skip_errors, actor=actor, now=now
    )
    after.add_task(ring, "import")
    return view(session, found)


@router.post("/imports/{import_id}/resume", status_code=202)
def resume(import_id: ImportInPath, session: Db, after: BackgroundTasks) -> ImportView:
    """Go on with an import that failed, where it was."""
    found = registry.resume(session, import_id)
    after.add_task(ring, "import")
    return view(session, found)


@router.delete("/imports/{import_id}")
def discard(import_id: ImportInPath, session: Db, actor: Actor, now: Now) -> ImportView:
    """Forget a file that was not applied."""
    return view(session, registry.discard(session, import_id, actor=actor, now=now))


@router.get("/imports/{import_id}/errors.csv", response_class=StreamingResponse, responses=_CSV_ANSWER)
def error_file(import_id: ImportInPath) -> StreamingResponse:
    """Everything that is wrong, as CSV: line, column, field, value (masked where personal), problem, allowed."""
    with database.session("read") as session:
        registry.get_import(session, import_id)
    return _file(error_text(import_id, work="heavy"), f"import-{import_id}-errors.csv")


@router.get("/pages/{page}/contacts.csv", response_class=StreamingResponse, responses=_CSV_ANSWER, dependencies=[HEAVY])
def export_csv(page: PageInPath, actor: Actor, now: Now) -> StreamingResponse:
    """Everybody whom a page knows, as a CSV file that imports again. Who took it is in the audit."""
    return _export(page, "csv", actor, now)


@router.get("/pages/{page}/contacts.jsonl", response_class=StreamingResponse, dependencies=[HEAVY])
def export_json_lines(page: PageInPath, actor: Actor, now: Now) -> StreamingResponse:
    """The same as JSON lines."""
    return _export(page, "jsonl", actor, now)


def _export(page: str, form: Format, actor: str, now: int) -> StreamingResponse:
    with database.session("write") as session:
        page_id = _page_id(session, page)
        columns = start_export(session, page_id, form=form, actor=actor, now=now)
    return _file(export_text(page_id, columns, form, work="heavy"), f"contacts-{page}.{form}")


def export_text(page_id: int, columns: Columns, form: Format, *, work: Work | None = None) -> Iterator[str]:
    """An export part by part, each in a transaction of its own: a slow reader holds no connection."""
    after: int | None = 0
    while after is not None:
        with database.session(work) as session:
            part = export_part(session, page_id, columns, form=form, after=after)
        yield part.text
        after = part.last


def error_text(import_id: int, *, work: Work | None = None) -> Iterator[str]:
    """The file of errors part by part, each in a transaction of its own."""
    after, header = (0, 0), True
    while True:
        with database.session(work) as session:
            found = registry.errors(session, import_id, after=after)
        if found or header:
            yield registry.errors_csv(found, header=header)
        if not found:
            return
        after, header = (found[-1].n, found[-1].id or 0), False


def _file(parts: Iterator[str], name: str) -> StreamingResponse:
    kind = _CSV if name.endswith(".csv") else "application/jsonl"
    return StreamingResponse(parts, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def preview_view(session: Session, found: ContactImport, now: int) -> ImportPreview:
    """An import and its first rows as they would be applied."""
    rows = [_row(line, reading) for line, reading in preview(session, found, now)]
    return ImportPreview.model_validate({"import": view(session, found), "rows": rows})


def _row(line: int, reading: Reading) -> PreviewRow:
    problems = [
        {"field": each.field, "problem": each.problem, "allowed": each.allowed, "severity": each.severity}
        for each in reading.problems
    ]
    return PreviewRow(line=line, psid=reading.psid, known=reading.known, problems=problems)


def view(session: Session, found: ContactImport) -> ImportView:
    """One import."""
    (shown,) = views(session, [found])
    if found.checked:
        kinds = [ErrorKind.model_validate(each) for each in registry.error_kinds(session, shown.id)]
        shown.errors = [each for each in kinds if each.severity == "error"]
        shown.warnings = [each for each in kinds if each.severity != "error"]
    return shown


def views(session: Session, found: list[ContactImport]) -> list[ImportView]:
    """Many imports; what is wrong with each is told by ``view``."""
    pages = {page.id: page.external_id for page in list_pages(session)}
    return [_view(each, pages[each.page_id]) for each in found]


def _view(found: ContactImport, page: str) -> ImportView:
    assert found.id is not None  # a stored import has its id
    return ImportView(
        id=found.id,
        page=page,
        name=found.name,
        status=found.status,
        headers=found.headers,
        mapping=found.mapping,
        constants=found.constants,
        rows=found.row_count,
        checked=found.checked,
        bad=found.bad,
        done=found.cursor,
        skip_errors=found.skip_errors,
        skip_cells=found.skip_cells,
        asked=[each for each in found.suspects if each not in found.mapping and each not in found.ignored],
        counts=found.counts,
        errors=[],
        warnings=[],
        sha256=found.digest,
        actor=found.actor,
        created_at=found.created_at,
        validated_at=found.validated_at,
        applied_at=found.applied_at,
    )


def _page_id(session: Session, external_id: str) -> int:
    page_id = get_page(session, external_id).id
    assert page_id is not None  # a stored page has its id
    return page_id
