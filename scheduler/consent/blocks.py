"""Suppressions that sends bring to light (blocked, unreachable), and what lifts them: the person doing something.

Nobody else does. The platform tells of no block and of no end of one, so whoever says that they were unblocked is asked
to write: that is the only proof there is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.ledger import Entry, append
from scheduler.consent.projection import project
from scheduler.contacts.lock import lock_contact, lock_contacts
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts
from scheduler.store.direct import Ask, fetch

_REASONS = ("blocked", "unreachable", "erased")

#: A late report of something the person did before the block proves nothing about after it.
_LIFTABLE = text(
    """
    SELECT given.id, given.at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    WHERE EXISTS (
        SELECT 1 FROM suppression s WHERE s.contact_id = given.id AND s.lifted_at IS NULL
        AND s.reason IN ('blocked', 'unreachable') AND s.since <= given.at)
    ORDER BY given.id
    """
)


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

    Returns whose were lifted; their messages are decided anew. An opt-out is not lifted by this, nor an erasure.
    ``liftable`` is what ``liftable_ask`` brought, where it was asked already.
    """
    if not moments:
        return set()
    lock_contacts(session, moments.keys())
    # Nearly nobody is blocked, and everybody who writes comes by here: one look, and nothing written.
    rows = fetch(session, *liftable_ask(moments)) if liftable is None else liftable
    if not rows:
        return set()
    append(
        session,
        [Entry(contact_id=row.id, action="unblock", source="message", occurred_at=row.at) for row in rows],
        now,
    )
    lifted = project(session, [row.id for row in rows], now)
    wake_contacts(session, sorted(lifted), now)
    return lifted


#: By whose word an opt-out stood: the source that says so in the ledger.
_SOURCE_OF = {"person": "message", "platform": "optin", "operator": "operator"}


def suppress_again(
    session: Session, bars: Mapping[int, Sequence[tuple[str, str | None, str | None, str, int]]], now: int
) -> None:
    """Put in force what stood against somebody before they were erased, now that they are a contact again.

    Contact id → (reason, topic, category, whose word, since). The caller holds the contacts' rows.
    """
    entries = [
        Entry(
            contact_id=contact_id, action="opt_out" if reason == "opted_out" else "block",
            kind=None if reason == "opted_out" else reason, source=_SOURCE_OF[said_by] if reason == "opted_out"
            else "operator", topic=topic, category=category, scope=_scope(topic, category) if reason == "opted_out"
            else None, evidence="kept when they were erased", occurred_at=since,
        )
        for contact_id, each in sorted(bars.items())
        for reason, topic, category, said_by, since in each
    ]  # fmt: skip
    if entries:
        append(session, entries, now)
        project(session, bars.keys(), now)


def unsuppress_erased(session: Session, contact_ids: Collection[int], now: int) -> None:
    """Lift the bar of an erasure from people who came back and said that they want messages. Nothing else lifts it.

    Their messages are decided anew. The caller holds their rows.
    """
    wanted = sorted(set(contact_ids))
    entries = [
        Entry(contact_id=each, action="unblock", kind="erased", source="message", occurred_at=now) for each in wanted
    ]
    append(session, entries, now)
    project(session, wanted, now)
    wake_contacts(session, wanted, now)


def _scope(topic: str | None, category: str | None) -> str:
    if topic is not None:
        return "topic"
    return "category" if category is not None else "everything"
