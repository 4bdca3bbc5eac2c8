"""The contact's row lock: whoever changes what may be sent to somebody takes it first.

Lock order is page, contact, message; several contacts are locked in the order of their ids, so that two
transactions over the same people wait for each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

_LOCK = text("SELECT id FROM contact WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")


def lock_contacts(session: Session, contact_ids: Collection[int]) -> None:
    """Lock these contacts until the transaction ends. Facts must be read in a later statement than this one."""
    if contact_ids:
        session.connection().execute(_LOCK, {"ids": sorted(set(contact_ids))})


def lock_contact(session: Session, contact_id: int) -> None:
    """Lock one contact until the transaction ends."""
    lock_contacts(session, (contact_id,))
