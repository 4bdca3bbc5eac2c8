"""Holding somebody back until a person has looked."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contact, lock_contacts
from scheduler.outbox.wake import wake_contacts

_HOLD = text("UPDATE contact SET held_at = :now WHERE id = ANY(:ids) AND held_at IS NULL")
_RELEASE = text("UPDATE contact SET held_at = NULL WHERE id = :id AND held_at IS NOT NULL RETURNING id")


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
