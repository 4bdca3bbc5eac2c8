"""The clock's part: what is due becomes due; what was parked past its time expires. Bulk updates, no decisions."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.states import LANES
from scheduler.outbox.wake import wake_paced

#: Messages moved by one call. What is left over is moved by the next, a second later.
LIMIT = 20_000

_RIPEN = text("""
    WITH ripe AS (
        SELECT id FROM message WHERE state = 'scheduled' AND due_at IS NOT NULL AND due_at <= :now
        ORDER BY due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE message m SET state = 'due', state_at = :now FROM ripe WHERE m.id = ripe.id RETURNING m.id, m.lane
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, actor)
        SELECT id, :now, 'scheduled', 'due', 'tick' FROM moved
    )
    SELECT lane, count(*) AS moved FROM moved GROUP BY lane
""")
_EXPIRE_PARKED = text("""
    WITH over AS (
        SELECT id FROM message
        WHERE state = 'scheduled' AND due_at IS NULL AND least(deadline, expires_at) <= :now
        ORDER BY least(deadline, expires_at) LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE message m SET state = CASE WHEN m.may_wait AND m.expires_at > :now THEN 'due' ELSE 'expired' END,
            due_at = CASE WHEN m.may_wait AND m.expires_at > :now THEN :now ELSE NULL END, state_at = :now,
            wakes_on = NULL
        FROM over WHERE m.id = over.id RETURNING m.id, m.contact_id, m.state, m.reason
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
        SELECT id, :now, 'scheduled', state, CASE WHEN state = 'expired' THEN reason END, 'tick' FROM moved
    )
    SELECT DISTINCT contact_id FROM moved WHERE state = 'expired'
""")
_ANY_DUE = text("SELECT EXISTS (SELECT 1 FROM message WHERE state = 'due' AND lane = :lane)")


def tick(session: Session, now: int) -> dict[str, int]:
    """Move up to 20,000 ``scheduled`` messages whose time has come to ``due``; returns how many by lane.

    Parked messages whose deadline or expiry has passed become ``expired``, with the reason of what outlasted them.
    Those that may wait, and have not expired, become ``due``: they are decided anew, and wait for the person.
    What caps and gaps put behind one that expired is decided anew.
    """
    moved = {row.lane: int(row.moved) for row in session.execute(_RIPEN, {"now": now, "limit": LIMIT})}
    expired = session.execute(_EXPIRE_PARKED, {"now": now, "limit": LIMIT}).scalars().all()
    wake_paced(session, expired, now)
    return moved


def due_lanes(session: Session) -> list[str]:
    """The lanes in which something waits to be sent now, in order of precedence."""
    return [lane for lane in LANES if session.execute(_ANY_DUE, {"lane": lane}).scalar_one()]
