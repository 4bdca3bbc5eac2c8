"""``duly contact``: one person, how their zone follows from what was said, and merging one known twice."""

from __future__ import annotations

from dataclasses import asdict

import typer
from sqlmodel import Session

from scheduler import clock
from scheduler.api.contacts import ContactItem, ContactView, view_of
from scheduler.api.instants import format_instant
from scheduler.api.people import ContextView, MergeView
from scheduler.cli.output import echo_json, print_table
from scheduler.contacts import merging
from scheduler.contacts.finding import MOST_FOUND, find_people_by
from scheduler.contacts.registry import get_contact
from scheduler.doorbell import ring
from scheduler.errors import Conflict
from scheduler.facts.contacts import list_contacts
from scheduler.facts.context import agent_context
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import confirm, echo

app = typer.Typer(help="Look at one person, or merge two contacts who are one.", no_args_is_help=True)

_PSID = typer.Argument(help="The page-scoped id of the person.")
_PAGE = typer.Option(..., help="The page, by the platform's id.")
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command()
def show(psid: str = _PSID, page: str = _PAGE, as_json: bool = _JSON) -> None:
    """Show what is known about somebody, and which zones they may be in and why."""
    with database.session() as session:
        found = view_of(session, get_contact(session, _page_id(session, page), psid))
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    _person(found)
    echo(f"\n{_zones(found)}")
    print_table(
        ("", "kind", "says", "source", "sure", "observed"),
        [
            (
                "*" if row.counts else "", row.kind, _value(row.kind, row.value), row.source, f"{row.confidence:g}",
                format_instant(row.observed_at),
            )
            for row in found.evidence
        ],
        whole=("observed",),
        none="no evidence of where they are",
    )  # fmt: skip


@app.command()
def find(
    words: str = typer.Argument(help="An id, a CRM id, a telephone number, an address, or the beginning of a name."),
    page: str = _PAGE,
    limit: int = typer.Option(50, min=1, max=MOST_FOUND, help="At most so many, the newest first."),
    as_json: bool = _JSON,
) -> None:
    """Find people by an id, a name or an identity."""
    with database.session() as session:
        page_id = _page_id(session, page)
        among = find_people_by(session, page_id, words, limit=MOST_FOUND)
        found = [ContactItem.model_validate(each) for each in list_contacts(session, page_id, among=among, limit=limit)]
    if as_json:
        echo_json([each.model_dump(mode="json") for each in found])
        return
    print_table(
        ("psid", "name", "country", "locale", "last wrote"),
        [
            (
                each.psid, each.name or each.first_name or "", each.country or "", each.locale or "",
                format_instant(each.last_inbound_at) if each.last_inbound_at is not None else "",
            )
            for each in found
        ],
        whole=("psid", "last wrote"),
        none="nobody is found by that",
    )  # fmt: skip


@app.command()
def context(psid: str = _PSID, page: str = _PAGE, as_json: bool = _JSON) -> None:
    """Show what somebody who answers this person needs to know: products, order, consent, window, thread."""
    now = clock.now()
    with database.session() as session:
        contact = get_contact(session, _page_id(session, page), psid)
        assert contact.id is not None  # a stored contact has its id
        found = ContextView.model_validate(asdict(agent_context(session, contact.id, now)))
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    window = found.window
    until = f" until {format_instant(window.closes_at)}" if window.closes_at is not None and window.open else ""
    lines = [
        ("person", found.name or found.first_name or found.psid),
        ("their clock", found.local_time or "not known"),
        ("window", f"open{until}" if window.open else "closed"),
        ("thread", found.thread.owner + (f" since {format_instant(found.thread.since)}" if found.thread.since else "")),
        ("against", ", ".join(_suppression(row.reason, row.topic or row.category) for row in found.suppressions)),
        ("agreed to", ", ".join(f"{row.kind}: {row.topic or 'any topic'}" for row in found.consents)),
        ("order", f"{found.order.number}, {found.order.state}" if found.order else ""),
        ("likes", ", ".join(f"{row.name or row.sku} ({row.score:g})" for row in found.products)),
        ("waiting", str(found.waiting)),
    ]
    print_table(("", ""), [(name, value or "nothing") for name, value in lines], none="")


@app.command()
def merge(
    psid: str = _PSID,
    into: str = typer.Option(..., help="The psid that stands for the person from then on."),
    page: str = _PAGE,
    preview: bool = typer.Option(False, "--preview", help="Only tell what would happen."),
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
    who: str = typer.Option("cli", "--as", help="Who does it; it is kept."),
    as_json: bool = _JSON,
) -> None:
    """Let another contact stand for this one: they are one person. Nothing is sent to this psid any more."""
    with database.session() as session:
        page_id = _page_id(session, page)
        planned = merging.preview_merge(session, page_id, psid, into)
    if preview or not planned.changes:
        _tell(planned, preview=preview, as_json=as_json)
        return
    if not yes:
        _tell(planned, preview=True, as_json=False)
        if not confirm(f"Merge {psid} into {into}?"):
            raise Conflict("nothing was merged", way_out="confirm, or give --yes")
    with database.session() as session:
        done = merging.merge_contacts(session, page_id, psid, into, actor=who, now=clock.now())
    ring("deliver")
    _tell(done, preview=False, as_json=as_json)


def _tell(done: merging.Merge, *, preview: bool, as_json: bool) -> None:
    shown = MergeView.model_validate(asdict(done) | {"preview": preview})
    if as_json:
        echo_json(shown.model_dump(mode="json"))
        return
    if not done.changes:
        echo(f"{done.from_psid} was merged into {done.into_psid} before; nothing changes")
        return
    would = "would come" if preview else "came"
    echo(f"{done.into_psid} {'would stand' if preview else 'stands'} for {done.from_psid}")
    echo(f"against the survivor {would}: {', '.join(done.stricter) or 'nothing'}")
    echo(f"messages that go on: {len(done.moved)}; taken back: {len(done.cancelled)}; names: {done.identities}")


def _person(found: ContactView) -> None:
    lines = [
        ("psid", found.psid),
        ("name", found.name or found.first_name or ""),
        ("place", ", ".join(each for each in (found.region or found.country, found.locale) if each)),
        ("merged into", found.merged_into or ""),
        ("last wrote", format_instant(found.last_inbound_at) if found.last_inbound_at is not None else ""),
        ("held", format_instant(found.held_at) if found.held_at is not None else ""),
        ("thread", f"{found.handover_by} has it" if found.handover_at is not None else ""),
        ("against", ", ".join(_suppression(row.reason, row.topic or row.category) for row in found.suppressions)),
        ("known as", ", ".join(row.value or f"a {row.kind}" for row in found.identities)),
        ("attributes", ", ".join(f"{name}={value}" for name, value in found.attributes.items())),
    ]
    print_table(("", ""), [(name, value) for name, value in lines if value], none="")


def _zones(found: ContactView) -> str:
    candidates = found.zone_candidates
    named = ", ".join(candidates.zones) or f"{candidates.count} zones"
    laws = f"; laws of {', '.join(candidates.jurisdictions)}" if candidates.jurisdictions else ""
    lines = [f"may be in {named}: {candidates.words}{laws}", *(f"note: {each}" for each in candidates.remarks)]
    return "\n".join(lines)


def _value(kind: str, value: list[str]) -> str:
    return f"{int(value[0]) / 60:+g} h" if kind == "offset" else ", ".join(value)


def _suppression(reason: str, of: str | None) -> str:
    return f"{reason} ({of})" if of else reason


def _page_id(session: Session, page: str) -> int:
    page_id = get_page(session, page).id
    assert page_id is not None  # a stored page has its id
    return page_id
