"""What people chose, and who was erased, since the dump: known outside by a keyed hash, put in force again inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.choices import Choice, record_choices
from scheduler.privacy.erasure import erase
from scheduler.store.outside import hash_keys, person_hash

_CHUNK = 20_000
_EVIDENCE = "restored from marks outside the database"

_PEOPLE = text("""
    SELECT id, page_id, psid FROM contact WHERE id > :after AND erased_at IS NULL ORDER BY id LIMIT :limit
""")
_OPEN = text("""
    SELECT id, page, person, action, source, topic, category, said_at FROM restored_choice WHERE NOT settled ORDER BY id
""")
_DONE = text("UPDATE restored_choice SET settled = true WHERE id = ANY(:ids)")
_KNOWN = text("""
    SELECT g.id FROM unnest(CAST(:ids AS bigint[]), CAST(:contacts AS bigint[]), CAST(:actions AS text[]),
        CAST(:topics AS text[]), CAST(:categories AS text[]), CAST(:moments AS bigint[]))
        AS g (id, contact, action, topic, category, at)
    WHERE EXISTS (
        SELECT 1 FROM consent_record r WHERE r.contact_id = g.contact AND r.action = g.action
        AND r.occurred_at = g.at AND r.topic IS NOT DISTINCT FROM g.topic
        AND r.category IS NOT DISTINCT FROM g.category)
""")


def settle_choices(session: Session, *, actor: str, now: int) -> tuple[int, int]:
    """Put in force what the marks tell of and the ledger of consent does not know, and erase again who was erased.

    Returns (how many choices and erasures were put in force, of how many nobody here is known). Repeating it is
    harmless.
    """
    rows = session.connection().execute(_OPEN).all()
    if not rows:
        return 0, 0
    known = _find(session, {(row.page, bytes(row.person)) for row in rows})
    meant = [(row, known[row.page, bytes(row.person)]) for row in rows if (row.page, bytes(row.person)) in known]
    inside = _inside(session, meant)
    choices = [
        Choice(
            contact_id=contact, action=row.action, topic=row.topic, category=row.category, source=row.source,
            evidence=_EVIDENCE, actor=actor, at=row.said_at,
        )
        for row, (contact, _) in meant
        if row.action in ("opt_out", "opt_in") and row.id not in inside
    ]  # fmt: skip
    record_choices(session, choices, now)
    erased = {(row.page, psid) for row, (_, psid) in meant if row.action == "erased"}
    for page_id, psid in sorted(erased):
        erase(session, page_id, psid, actor=actor, reason=_EVIDENCE, now=now)
    session.connection().execute(_DONE, {"ids": [row.id for row in rows]})
    return len(choices) + len(erased), len(rows) - len(meant)


def _find(session: Session, wanted: set[tuple[int, bytes]]) -> dict[tuple[int, bytes], tuple[int, str]]:
    """(page, hash) → (contact, psid) of those whom the database knows."""
    hashes = [partial(person_hash, key=key) for key in hash_keys()]
    found = {}
    for contact, page_id, psid in _people(session):
        for hashed in hashes:
            place = (page_id, hashed(page_id, psid))
            if place in wanted:
                found[place] = (contact, psid)
    return found


def _people(session: Session) -> Iterator[tuple[int, int, str]]:
    after = 0
    while rows := session.connection().execute(_PEOPLE, {"after": after, "limit": _CHUNK}).all():
        yield from ((row.id, row.page_id, row.psid) for row in rows)
        after = rows[-1].id


def _inside(session: Session, meant: Sequence[tuple[Any, tuple[int, str]]]) -> set[int]:
    """The ids of those that the ledger of consent knows."""
    values = {
        "ids": [row.id for row, _ in meant],
        "contacts": [contact for _, (contact, _) in meant],
        "actions": [row.action for row, _ in meant],
        "topics": [row.topic for row, _ in meant],
        "categories": [row.category for row, _ in meant],
        "moments": [row.said_at for row, _ in meant],
    }
    return set(session.connection().execute(_KNOWN, values).scalars())
