"""``duly privacy``: what is known of somebody, erasing it, and how long things are kept."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from sqlmodel import Session

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.api.privacy import view
from scheduler.audit.record import record
from scheduler.cli.output import echo_json, print_table, write_private
from scheduler.contacts.registry import get_contact
from scheduler.errors import Conflict
from scheduler.pages.registry import get_page
from scheduler.privacy import erasure
from scheduler.privacy.retention import KEPT, MANY, prune, standing
from scheduler.privacy.subject import everything
from scheduler.store import database
from scheduler.terminal import confirm, echo

app = typer.Typer(
    help="Tell somebody what is known of them, erase it, and see how long things are kept.", no_args_is_help=True
)

_PSID = typer.Argument(help="The page-scoped id of the person.")
_PAGE = typer.Option(..., help="The platform's id of the page.")
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command()
def export(
    psid: str = _PSID,
    page: str = _PAGE,
    out: Path | None = typer.Option(None, help="A file to write (readable by you alone); left out: standard output."),
    who: str = typer.Option("cli", "--as", help="Who asks; it is audited."),
) -> None:
    """Write everything that is known of a person as one JSON."""
    now = clock.now()
    with database.session() as session:
        contact = get_contact(session, _page_id(session, page), psid)
        assert contact.id is not None  # a stored contact has its id
        found = everything(session, contact.id, now)
        record(session, actor=who, action="contact.everything", subject=f"contact:{contact.id}", detail={}, now=now)
    if out is None:
        echo_json(found)
        return
    write_private(out, [json.dumps(found, indent=2, ensure_ascii=False), "\n"], option="--out")
    rows = sum(len(each) for each in found.values() if isinstance(each, list))
    echo(f"{out}: {rows} rows", err=True)


@app.command()
def erase(
    psid: str = _PSID,
    page: str = _PAGE,
    reason: str = typer.Option(..., help="Why; it is kept, so it must not name anybody."),
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
    who: str = typer.Option("cli", "--as", help="Who does it; it is kept."),
    as_json: bool = _JSON,
) -> None:
    """Erase what is known of a person. That they are not to be messaged stays, as a keyed hash."""
    with database.session() as session:
        planned = erasure.preview_erasure(session, _page_id(session, page), psid)
    if planned.changes and not yes:
        print_table(
            ("goes or is blanked", "rows"), [(name, str(count)) for name, count in planned.rows.items()], none="nothing"
        )
        flight = "; something is on the wire and settles first" if planned.in_flight else ""
        echo(f"messages taken back: {planned.cancelled}; addresses of the person: {planned.addresses}{flight}")
        if not confirm("Erase them? There is no way back"):
            raise Conflict("nobody was erased", way_out="confirm, or give --yes")
    with database.session() as session:
        done = erasure.erase(session, _page_id(session, page), psid, actor=who, reason=reason, now=clock.now())
    if as_json:
        echo_json(view(done).model_dump(mode="json"))
        return
    if not done.changes:
        when = f" on {format_instant(done.erased_at)}" if done.erased_at else ""
        echo(f"they were erased before{when}; nothing changes")
        return
    echo(f"erased: {sum(done.rows.values())} rows; messages taken back: {done.cancelled}")


@app.command()
def retention(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what may go; change nothing."),
    as_json: bool = _JSON,
) -> None:
    """Show how long things are kept, and let go of what is older now, in chunks; a worker does so all the time."""
    gone: dict[str, int] = {}
    while not dry_run:
        with database.session() as session:
            done = prune(session, clock.now())
        for name, count in done.rows.items():
            gone[name] = gone.get(name, 0) + count
        if not done.more:
            break
    with database.session() as session:
        found = standing(session, clock.now())
    if as_json:
        tables = [
            {
                "name": left.rule.name, "table": left.rule.table, "days": left.days,
                "pruned": gone.get(left.rule.name, 0),
                "left": left.rows, "pruned_ever": left.pruned,
                "ran_at": format_instant(left.ran_at) if left.ran_at is not None else None, "why": left.rule.why,
            }
            for left in found
        ]  # fmt: skip
        kept = [{"table": table, "why": why} for table, why in KEPT.items()]
        echo_json({"dry_run": dry_run, "tables": tables, "kept": kept})
        return
    print_table(
        ("kept", "days", "went now", "old and left", "went ever", "last looked at"),
        [
            (
                left.rule.name, str(left.days), str(gone.get(left.rule.name, 0)),
                f"{left.rows}{'+' if left.rows >= MANY else ''}", str(left.pruned),
                format_instant(left.ran_at) if left.ran_at is not None else "-",
            )
            for left in found
        ],
        none="nothing",
    )  # fmt: skip


def _page_id(session: Session, page: str) -> int:
    page_id = get_page(session, page).id
    assert page_id is not None  # a stored page has its id
    return page_id
