"""The contact's row lock: whoever changes what may be sent to somebody takes it first.

Lock order is page, contact, message; several contacts are locked in the order of their ids, so that two
transactions over the same people wait for each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlmodel import Session

_LOCK = text("SELECT id FROM contact WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

_HELD = "contacts_held"


@contextmanager
def holding(session: Session, contact_ids: Collection[int]) -> Iterator[None]:
    """Lock these contacts; verbs called inside, however many, need not do it again.

    Not for use inside a savepoint: whoever goes back to before it would hold them no more.
    """
    lock_contacts(session, contact_ids)
    before = session.info.get(_HELD, frozenset())
    session.info[_HELD] = before | frozenset(contact_ids)
    try:
        yield
    finally:
        session.info[_HELD] = before


def lock_contacts(session: Session, contact_ids: Collection[int]) -> None:
    """Lock these contacts until the transaction ends. Facts must be read in a later statement than this one."""
    wanted = set(contact_ids) - session.info.get(_HELD, frozenset())
    if wanted:
        session.connection().execute(_LOCK, {"ids": sorted(wanted)})


def lock_contact(session: Session, contact_id: int) -> None:
    """Lock one contact until the transaction ends."""
    lock_contacts(session, (contact_id,))
