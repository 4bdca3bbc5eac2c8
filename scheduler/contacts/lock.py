"""The contact's row lock: whoever changes what may be sent to somebody takes it first.

Lock order is page, contact, message; several contacts are locked in the order of their ids, so that two
transactions over the same people wait for each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.store.direct import Ask, fetch, together

# A row that was waited for is returned as it is by then. All are locked; only those who were erased are fetched, for a
# thousand rows that say nothing cost the driver more than the locks cost the server.
_LOCK = text("""
    WITH held AS MATERIALIZED (
        SELECT id, erased_at FROM contact WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
    )
    SELECT id FROM held WHERE erased_at IS NOT NULL
""")

_HELD = "contacts_held"


@contextmanager
def holding(
    session: Session, contact_ids: Collection[int], *then: Ask, made: Collection[int] = ()
) -> Iterator[tuple[set[int], list[list[Any]]]]:
    """Lock these contacts; verbs called inside, however many, need not do it again. Yields who of them was erased.

    Those that this transaction ``made`` are its own as they are. And the answers to what is asked ``then``, once they
    are locked, on the same way to the database. Not for use inside a savepoint: whoever goes back to before it would
    hold them no more.
    """
    rows, *answers = together(session, (_LOCK, {"ids": sorted(set(contact_ids).difference(made))}), *then)
    before = session.info.get(_HELD, frozenset())
    session.info[_HELD] = before | frozenset(contact_ids)
    try:
        yield {row.id for row in rows}, answers
    finally:
        session.info[_HELD] = before


def held(session: Session, contact_ids: Collection[int]) -> bool:
    """Whether this transaction is inside of ``holding`` all of these."""
    mine: frozenset[int] = session.info.get(_HELD, frozenset())
    return mine.issuperset(contact_ids)


def lock_contacts(session: Session, contact_ids: Collection[int]) -> set[int]:
    """Lock these contacts until the transaction ends. Facts must be read in a later statement than this one.

    Returns those who were erased: their rows stand for nobody any more.
    """
    wanted = set(contact_ids) - session.info.get(_HELD, frozenset())
    if not wanted:
        return set()
    return {row.id for row in fetch(session, _LOCK, {"ids": sorted(wanted)})}


def lock_contact(session: Session, contact_id: int) -> None:
    """Lock one contact until the transaction ends."""
    lock_contacts(session, (contact_id,))
