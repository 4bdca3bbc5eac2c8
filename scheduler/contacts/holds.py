"""Holding somebody back: until a person has looked, or while another has the thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact, lock_contacts
from scheduler.outbox.wake import wake_contacts

_HOLD = text("UPDATE contact SET held_at = :now WHERE id = ANY(:ids) AND held_at IS NULL")
_RELEASE = text("UPDATE contact SET held_at = NULL WHERE id = :id AND held_at IS NOT NULL RETURNING id")
_HAND_OVER = text(
    "UPDATE contact SET handover_at = :at, handover_by = :by WHERE id = :id AND handover_at IS NULL RETURNING id"
)
_HAND_BACK = text("""
    UPDATE contact SET handover_at = NULL, handover_by = NULL WHERE id = :id AND handover_at IS NOT NULL RETURNING id
""")
#: The platform speaks of its own handovers alone; what a person of the team took, they give back themselves.
_SHOWN = text("""
    UPDATE contact SET handover_at = NULL, handover_by = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:moments AS bigint[])) AS given (id, at)
    WHERE contact.id = given.id AND contact.handover_by = 'platform' AND contact.handover_at <= given.at
    RETURNING contact.id
""")

_SPOKE = text("UPDATE contact SET handover_at = :at WHERE id = :id AND handover_at < :at")

PLATFORM = "platform"
OPERATOR = "operator"


def hold_contact(session: Session, contact_id: int, now: int) -> None:
    """Send nothing to the contact until ``release_contact``: something they said could not be understood."""
    hold_contacts(session, (contact_id,), now)


def hold_contacts(session: Session, contact_ids: Collection[int], now: int) -> None:
    """``hold_contact`` for many."""
    if contact_ids:
        lock_contacts(session, contact_ids)
        session.connection().execute(_HOLD, {"ids": sorted(set(contact_ids)), "now": now})


def release_contact(session: Session, contact_id: int, now: int) -> bool:
    """End the hold; their messages are decided anew. False when they were not held."""
    lock_contact(session, contact_id)
    released = session.connection().execute(_RELEASE, {"id": contact_id}).first() is not None
    if released:
        wake_contacts(session, [contact_id], now)
    return released


def hand_over(session: Session, contact_id: int, *, by: str, at: int, now: int) -> bool:
    """Somebody else has the conversation: automation waits for ``hand_back``. False when somebody had it before.

    ``by`` is ``platform`` (another app has the thread) or ``operator`` (a person of the team took it), ``at`` when.
    """
    lock_contact(session, contact_id)
    return (
        session.connection().execute(_HAND_OVER, {"id": contact_id, "by": by, "at": min(at, now)}).first() is not None
    )


def hand_back(session: Session, contact_id: int, now: int) -> bool:
    """The conversation is ours again; what waited is decided anew. False when nobody else had it."""
    lock_contact(session, contact_id)
    ours = session.connection().execute(_HAND_BACK, {"id": contact_id}).first() is not None
    if ours:
        wake_contacts(session, [contact_id], now)
    return ours


def spoke(session: Session, contact_id: int, *, at: int, now: int) -> None:
    """Somebody else wrote to the contact at ``at``: if they have the conversation, its time-out counts from then on."""
    lock_contact(session, contact_id)
    session.connection().execute(_SPOKE, {"id": contact_id, "at": min(at, now)})


def heard_from(session: Session, moments: Mapping[int, int], now: int) -> None:
    """People (contact id → instant) wrote to *our* app: the platform routes to whoever has the thread, so it is ours.

    Ends handovers by the platform that are older, and no others.
    """
    if not moments:
        return
    lock_contacts(session, moments.keys())
    rows = session.connection().execute(_SHOWN, {"ids": list(moments), "moments": list(moments.values())})
    wake_contacts(session, [row.id for row in rows], now)
