"""Applies what was validated, a thousand rows a transaction: whatever dies, the cursor tells where to go on.

It permits nothing by itself: no file lifts an opt-out or brings an erased person back, and a consent that is older
than an opt-out stays ended by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.consent.choices import Choice, record_choices
from scheduler.consent.grants import Grant, record_grants
from scheduler.contacts.bulk import Kept, keep_people
from scheduler.contacts.evidence import Kind as PlaceKind
from scheduler.contacts.identities import Link, link, wait_for_links
from scheduler.contacts.lock import holding
from scheduler.contacts.newcomers import Person
from scheduler.contacts.profiles import want_profile
from scheduler.imports.ahead import Ahead, StagedRow, staged_rows
from scheduler.imports.collecting import no_collecting
from scheduler.imports.overfull import tell_overfull
from scheduler.imports.refused import refused
from scheduler.imports.registry import clear_staging
from scheduler.imports.tables import ContactImport
from scheduler.imports.validating import claim
from scheduler.logs import get_logger

_log = get_logger(__name__)

#: Rows of one transaction.
CHUNK = 1_000
SOURCE = "import"

#: What a row calls a place, and what the evidence is called.
_PLACES: tuple[tuple[str, PlaceKind], ...] = (
    ("timezones", "zone"),
    ("utc_offset", "offset"),
    ("country", "country"),
    ("region", "region"),
    ("locale", "locale"),
)

_GRANTED = text("""
    SELECT contact_id, topic, kind, occurred_at, expires_at FROM consent_record
    WHERE contact_id = ANY(:ids) AND action = 'granted'
""")
_CHOSEN = text("""
    SELECT contact_id, action, topic, category, max(occurred_at) AS at FROM consent_record
    WHERE contact_id = ANY(:ids) AND action IN ('opt_out', 'opt_in') GROUP BY 1, 2, 3, 4
""")


#: contact id, known.
_Known = tuple[int, dict[str, Any]]


@dataclass(slots=True)
class Counts:
    """What became of the rows."""

    #: People who are new, and people of whom a name, an attribute or the place is another now.
    created: int = 0
    updated: int = 0
    #: Rows that say what was known.
    unchanged: int = 0
    #: People whose data was erased since the file was validated.
    refused: int = 0
    links: int = 0
    consents: int = 0
    opt_outs: int = 0


# The cursor is committed with the rows it tells of, so a chunk that a crash of the server takes back is done again: no
# chunk waits for the disk but the last, whose commit brings all those before it there.
_NEED_NOT_WAIT = text("SET LOCAL synchronous_commit = off")


def apply_next(
    session: Session, now: int, *, import_id: int | None = None, limit: int = CHUNK, ahead: Ahead | None = None
) -> ContactImport | None:
    """Apply the next rows of an import (the oldest that waits, or ``import_id``); None when nothing waits for it.

    The rows, what was counted and the cursor are one transaction, the caller's: call it again until the import it
    returns is ``applied``. Two who do so at once never apply the same rows. With ``ahead`` the next chunk is read
    meanwhile.
    """
    found = claim(session, "applying", import_id)
    if found is None:
        return None
    assert found.id is not None  # a stored import has its id
    after, end = found.cursor, found.row_count
    last = min(after + limit, end)
    if ahead is not None:
        rows = ahead.rows(session, found.id, after=after, last=last, end=end)
    else:
        rows = staged_rows(session, found.id, after=after, last=last)
    counts = Counts(**found.counts)
    if rows:
        _apply(session, found, rows, counts, now)
    found.cursor, found.counts = last, asdict(counts)
    if last < end:
        session.connection().execute(_NEED_NOT_WAIT)
    else:
        found.status, found.applied_at = "applied", now
        clear_staging(session, found.id)
        record(
            session, actor=found.actor, action="contacts.import_applied", subject=f"import:{found.id}",
            detail=found.counts, now=now,
        )  # fmt: skip
        _log.info("imported", request_id=found.request_id, import_id=found.id, **found.counts)
    session.add(found)
    session.flush()
    return found


@no_collecting()
def _apply(session: Session, found: ContactImport, rows: Sequence[StagedRow], counts: Counts, now: int) -> None:
    gone = refused(session, found.page_id, [psid for _, psid, _ in rows])
    people: dict[str, dict[str, Any]] = {}
    for _, psid, said in rows:
        if psid not in gone:
            people[psid] = said if psid not in people else _together(people[psid], said)
    if any("links" in said for said in people.values()):
        # Before anybody's row, as a business event does that looks for its person: else each could wait for the other.
        wait_for_links(session, alone=True)
    kept = keep_people(
        session, found.page_id, [_person(psid, known) for psid, known in people.items()],
        source=SOURCE, observed_at=found.created_at, now=now,
    )  # fmt: skip
    tell_overfull(
        session, found, [psid for psid, id_ in kept.ids.items() if id_ in kept.overfull],
        first=rows[0][0], last=rows[-1][0],
    )  # fmt: skip
    known = [(kept.ids[psid], said) for psid, said in people.items() if psid in kept.ids]
    with holding(session, kept.ids.values()):
        linked = link(session, found.page_id, _links(known), now)
        # Before the opt-outs: what the same row withdraws must not look as if it had been agreed to afterwards.
        grants = _new_grants(session, known, kept.created, found)
        record_grants(session, grants, now)
        choices = _new_opt_outs(session, known, found, now)
        record_choices(session, choices, now)
        # Whose zone the file tells, nobody asks the platform for.
        want_profile(session, [each for each, said in known if each in kept.created and "timezones" not in said], now)
    _count(counts, kept, told={*(each.contact_id for each in grants), *(each.contact_id for each in choices)})
    counts.refused += len({psid for _, psid, _ in rows}) - len(kept.ids)
    counts.links += linked.new + len(linked.moved)
    counts.consents += len(grants)
    counts.opt_outs += len(choices)


def _count(counts: Counts, kept: Kept, told: set[int]) -> None:
    updated = (kept.changed | kept.moved | told) - kept.created
    counts.created += len(kept.created)
    counts.updated += len(updated)
    counts.unchanged += len(kept.ids) - len(kept.created) - len(updated)


def _together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What two rows say of one person, of which at most one is applied for more than its opt-outs."""
    opt_outs = [*one.get("opt_outs", ()), *other.get("opt_outs", ())]
    return one | other | {"opt_outs": [each for n, each in enumerate(opt_outs) if each not in opt_outs[:n]]}


def _person(psid: str, known: Mapping[str, Any]) -> Person:
    return Person(
        psid=psid, name=known.get("name"), first_name=known.get("first_name"), attributes=known.get("attributes"),
        places={kind: known[name] for name, kind in _PLACES if name in known},
    )  # fmt: skip


def _links(people: Sequence[_Known]) -> list[Link]:
    return [
        Link(contact_id=contact_id, kind=kind, value=value, source=SOURCE)
        for contact_id, known in people
        for kind, value in known.get("links", ())
    ]


def _new_grants(session: Session, people: Sequence[_Known], created: set[int], found: ContactImport) -> list[Grant]:
    said = [(contact_id, known["consents"]) for contact_id, known in people if "consents" in known]
    # Of who is new nothing is on the record yet.
    before = sorted({contact_id for contact_id, _ in said} - created)
    rows = session.connection().execute(_GRANTED, {"ids": before}) if before else ()
    there = {(row.contact_id, row.topic, row.kind, row.occurred_at, row.expires_at) for row in rows}
    actor = _actor(found)
    return [
        Grant(
            contact_id=contact_id, topic=each["topic"], kind=each["kind"], source=SOURCE, wording=each["wording"],
            evidence=each["source"], actor=actor, granted_at=each["granted_at"], expires_at=each["expires_at"],
        )
        for contact_id, consents in said
        for each in consents
        if (contact_id, each["topic"], each["kind"], each["granted_at"], each["expires_at"]) not in there
    ]  # fmt: skip


def _new_opt_outs(session: Session, people: Sequence[_Known], found: ContactImport, now: int) -> list[Choice]:
    said = [(contact_id, known["opt_outs"]) for contact_id, known in people if "opt_outs" in known]
    if not said:
        return []
    rows = session.connection().execute(_CHOSEN, {"ids": sorted({contact_id for contact_id, _ in said})}).all()
    out = {(row.contact_id, row.topic, row.category): row.at for row in rows if row.action == "opt_out"}
    back: dict[int, int] = {}
    for row in rows:
        if row.action == "opt_in":
            back[row.contact_id] = max(row.at, back.get(row.contact_id, 0))

    def is_news(contact_id: int, topic: str | None, category: str | None, at: int | None) -> bool:
        # Said already, no earlier than that: a second import says nothing new.
        before = out.get((contact_id, topic, category))
        if before is None and category is None:
            # What spoke of everything may have been kept as what the law makes of it.
            before = out.get((contact_id, topic, "promotional"))
        return before is None or (before < at if at is not None else before <= back.get(contact_id, 0))

    return [
        Choice(
            contact_id=contact_id, action="opt_out", topic=each["topic"], category=each["category"], source=SOURCE,
            actor=_actor(found), at=each["at"] if each["at"] is not None else now,
        )
        for contact_id, opt_outs in said
        for each in opt_outs
        if is_news(contact_id, each["topic"], each["category"], each["at"])
    ]  # fmt: skip


def _actor(found: ContactImport) -> str:
    return f"{found.actor[:150]} (import {found.id})"
