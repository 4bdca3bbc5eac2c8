"""Goes on with what somebody's act woke only in part: the rest of a page's waiting messages, chunk by chunk.

A release, a resume, a restored page or a new policy may concern a million messages. Whoever does it wakes the first
thousand and leaves an order; this works it off. No gate is needed: whoever decides after that act reads what it
changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.governance.active import active_policies
from scheduler.outbox.candidates import Chosen, lock_chosen
from scheduler.outbox.tables import WakeOrder
from scheduler.outbox.verdicts import judge, put_aside
from scheduler.outbox.wake import CHUNK, hold_wakes, wake_chunk

#: Messages that one transaction decides: those who forbid something wait for whoever decides.
DECIDED = 1_000

_NEXT = text("SELECT id FROM wake_order ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")


@dataclass(slots=True, frozen=True, kw_only=True)
class Worked:
    """What one chunk came to."""

    woken: int
    #: Of them, those that wait again or ended; the others are due.
    put_aside: int
    #: Whether there was an order at all.
    found: bool


def work_off(session: Session, now: int, *, limit: int | None = None) -> Worked:
    """Go on with the oldest order that nobody else is at, by one chunk.

    What was parked until now is woken, and dispatch decides it. Of an order for all that waits most will wait on: it is
    decided here, in bulk, so that a million messages that may not go yet are not in the way of those that may.
    """
    found = session.execute(_NEXT).first()
    if found is None:
        return Worked(woken=0, put_aside=0, found=False)
    order = session.get_one(WakeOrder, found.id, populate_existing=True)
    decides = order.wakes_on is None
    if decides:
        hold_wakes(session)
    chunk = wake_chunk(session, order, now, limit=limit or (DECIDED if decides else CHUNK))
    aside = _decide(session, order.page_id, chunk.messages, now) if decides and chunk.messages else 0
    if not chunk.more:
        session.delete(order)
    session.flush()
    return Worked(woken=len(chunk.messages), put_aside=aside, found=True)


def _decide(session: Session, page_id: int, woken: list[tuple[int, int]], now: int) -> int:
    """Put aside those that may not go now; returns how many. Whoever somebody else holds stays due."""
    policies = active_policies(session, [page_id])
    if page_id in policies.unreadable:
        return 0
    chosen = [Chosen(id_, contact_id, page_id, None) for id_, contact_id in woken]
    candidates = lock_chosen(session, chosen)
    if not candidates:
        return 0
    aside = [each for each in judge(session, candidates, policies, now) if each.state != "sending"]
    put_aside(session, aside, now, actor="wake")
    return len(aside)
