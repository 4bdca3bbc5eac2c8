"""Suppressions that sends bring to light (blocked, unreachable), and what lifts them: the person doing something.

Nobody else does. The platform tells of no block and of no end of one, so whoever says that they were unblocked is asked
to write: that is the only proof there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project
from scheduler.contacts.lock import lock_contact, lock_contacts
from scheduler.contacts.persons import lock_persons
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts
from scheduler.store.direct import Ask, fetch

_REASONS = ("blocked", "unreachable", "erased")

#: A late report of something the person did before the block proves nothing about after it. Of an address that was
#: merged also where a block that came along from there stands against whoever stands for the person.
_LIFTABLE = text(
    """
    SELECT id, at, own FROM (
        SELECT given.id, given.at, EXISTS (
            SELECT 1 FROM suppression s WHERE s.contact_id = given.id AND s.lifted_at IS NULL
            AND s.reason IN ('blocked', 'unreachable') AND s.since <= given.at) AS own
        FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    ) AS heard
    WHERE own OR EXISTS (
        SELECT 1 FROM contact c JOIN suppression s ON s.contact_id = c.merged_into
        WHERE c.id = heard.id AND s.lifted_at IS NULL AND s.reason = 'blocked' AND s.since <= heard.at)
    ORDER BY id
    """
)

#: Who stands for people at an address of theirs that was heard of, and whose block came along from addresses none of
#: which is blocked any more: (their id, when the last of those was heard of).
_CAME_ALONG = text("""
    SELECT c.merged_into AS id, max(given.at) AS at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    JOIN contact c ON c.id = given.id AND c.merged_into IS NOT NULL
    WHERE EXISTS (SELECT 1 FROM suppression s WHERE s.contact_id = c.merged_into AND s.lifted_at IS NULL
        AND s.reason = 'blocked' AND s.since <= given.at)
    AND NOT EXISTS (
        SELECT 1 FROM consent_record b WHERE b.contact_id = c.merged_into AND b.action = 'block' AND b.kind = 'blocked'
        AND NOT EXISTS (SELECT 1 FROM consent_record u WHERE u.contact_id = b.contact_id AND u.action = 'unblock'
            AND coalesce(u.kind, 'blocked') = 'blocked' AND u.occurred_at >= b.occurred_at AND u.id > b.id)
        AND (b.evidence IS NULL OR b.evidence NOT LIKE :from_contact || '%' OR EXISTS (
            SELECT 1 FROM suppression s WHERE s.lifted_at IS NULL AND s.reason = 'blocked'
            AND s.contact_id = CAST(substring(b.evidence FROM '([0-9]+)$') AS bigint))))
    GROUP BY 1 ORDER BY 1
""")

#: What the ledger notes of a row that came along in a merge, before the number of the contact that it came from.
CAME_FROM = "merged from contact:"


def suppress(
    session: Session, contact_id: int, reason: str, *, source: str, now: int, actor: str | None = None
) -> None:
    """Send nothing more to a contact: ``blocked`` or ``unreachable``, as a send showed, or ``erased``, for good.

    ``source`` is ``send_error`` (or ``operator``). What is waiting for them is denied when its turn comes.
    """
    if reason not in _REASONS:
        raise Invalid(f"`{reason}` is not a reason to suppress", field="reason", way_out=f"use {', '.join(_REASONS)}")
    lock_contact(session, contact_id)
    entry = Entry(contact_id=contact_id, action="block", kind=reason, source=source, actor=actor, occurred_at=now)
    append(session, [entry], now)
    project(session, (contact_id,), now)


def liftable_ask(moments: Mapping[int, int]) -> Ask:
    """What ``lift_blocks`` asks first, for whoever asks it together with something else."""
    return _LIFTABLE, {"ids": list(moments), "moments": list(moments.values())}


def lift_blocks(
    session: Session, moments: Mapping[int, int], now: int, *, liftable: Sequence[Any] | None = None
) -> set[int]:
    """Lift the blocks of contacts who did something at an instant (contact id → epoch seconds) after it.

    Returns whose were lifted; their messages are decided anew. An opt-out is not lifted by this, nor an erasure. One
    that came along in a merge is lifted by what is done at the address that it came from, or at their present one.
    ``liftable`` is what ``liftable_ask`` brought, where it was asked already.
    """
    if not moments:
        return set()
    lock_contacts(session, moments.keys())
    # Nearly nobody is blocked, and everybody who writes comes by here: one look, and nothing written.
    rows = fetch(session, *liftable_ask(moments)) if liftable is None else liftable
    if not rows:
        return set()
    lock_persons(session, {row.id for row in rows})
    own = [Entry(contact_id=row.id, action="unblock", source="message", occurred_at=row.at) for row in rows if row.own]
    append(session, own, now)
    lifted = project(session, [entry.contact_id for entry in own], now)
    heard = {"ids": [row.id for row in rows], "moments": [row.at for row in rows], "from_contact": CAME_FROM}
    came_along = [
        Entry(contact_id=row.id, action="unblock", kind="blocked", source="message", occurred_at=row.at)
        for row in fetch(session, _CAME_ALONG, heard)
    ]
    append(session, came_along, now)
    lifted |= project(session, [entry.contact_id for entry in came_along], now)
    wake_contacts(session, sorted(lifted), now)
    return lifted
