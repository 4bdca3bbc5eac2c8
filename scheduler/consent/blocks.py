"""Suppressions that sends bring to light (blocked, unreachable), and what lifts them: the person doing something."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact, lock_contacts
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts

_REASONS = ("blocked", "unreachable")

_SUPPRESS = text(
    """
    INSERT INTO suppression (contact_id, reason, topic, since) VALUES (:id, :reason, NULL, :now)
    ON CONFLICT (contact_id, reason, coalesce(topic, '')) WHERE lifted_at IS NULL
    DO UPDATE SET since = greatest(suppression.since, excluded.since)
    """
)

_LEDGER = text(
    """
    INSERT INTO consent_record (contact_id, action, source, occurred_at, recorded_at)
    SELECT given.id, :action, :source, given.at, :now
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    """
)

#: A late report of something the person did before the block proves nothing about after it.
_LIFT = text(
    """
    UPDATE suppression SET lifted_at = :now
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    WHERE suppression.contact_id = given.id AND suppression.lifted_at IS NULL
      AND suppression.reason IN ('blocked', 'unreachable') AND suppression.since <= given.at
    RETURNING given.id, given.at
    """
)


def suppress(session: Session, contact_id: int, reason: str, *, source: str, now: int) -> None:
    """Send nothing more to a contact that a send showed to be ``blocked`` or ``unreachable``.

    ``source`` is ``send_error`` (or ``operator``). What is waiting for them is denied when its turn comes.
    """
    if reason not in _REASONS:
        raise Invalid(f"`{reason}` is not a reason to suppress", field="reason", way_out="use blocked or unreachable")
    lock_contact(session, contact_id)
    connection = session.connection()
    connection.execute(_SUPPRESS, {"id": contact_id, "reason": reason, "now": now})
    if reason == "blocked":
        connection.execute(
            _LEDGER, {"ids": [contact_id], "moments": [now], "action": "block", "source": source, "now": now}
        )


def lift_block(session: Session, contact_id: int, now: int) -> bool:
    """Let a contact be tried again: the person did something, or an operator knows better. True when one was lifted."""
    return bool(lift_blocks(session, {contact_id: now}, now))


def lift_blocks(session: Session, moments: Mapping[int, int], now: int) -> set[int]:
    """Lift the blocks of contacts who did something at an instant (contact id → epoch seconds) after it.

    Returns whose were lifted; their messages are decided anew. An opt-out is not lifted by this.
    """
    if not moments:
        return set()
    lock_contacts(session, moments.keys())
    connection = session.connection()
    rows = connection.execute(_LIFT, {"ids": list(moments), "moments": list(moments.values()), "now": now}).all()
    lifted = {row.id: row.at for row in rows}
    if lifted:
        connection.execute(
            _LEDGER,
            {
                "ids": list(lifted),
                "moments": list(lifted.values()),
                "action": "unblock",
                "source": "message",
                "now": now,
            },
        )
        wake_contacts(session, list(lifted), now)
    return set(lifted)
