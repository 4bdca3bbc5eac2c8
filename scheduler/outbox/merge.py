"""What waits for somebody who turned out to be somebody else: it goes on to them, once, or is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.wake import wake_contacts

# ``has_it``: the survivor has a message of the same campaign or event, or will have one when the campaign or event that
# is being planned comes to them. What was begun once was begun to the other address: it does not change hands.
_DECIDE = """
    SELECT m.id, m.state, m.attempts > 0 OR m.confirms_record_id IS NOT NULL OR EXISTS (
        SELECT 1 FROM message o
        WHERE o.contact_id = :into AND (o.campaign_id = m.campaign_id OR o.event_id = m.event_id)
    ) OR EXISTS (
        SELECT 1 FROM campaign c WHERE c.id = m.campaign_id AND c.status = 'planning' AND c.plan_cursor < :into
            AND (c.audience = 'everyone' AND :into <= coalesce(c.plan_until, 0) OR EXISTS (
                SELECT 1 FROM audience_member a WHERE a.campaign_id = c.id AND a.contact_id = :into))
    ) OR EXISTS (
        SELECT 1 FROM business_event e JOIN interest i ON i.page_id = e.page_id AND i.sku = e.body ->> 'sku'
        WHERE e.id = m.event_id AND e.planned_at IS NULL AND e.plan_cursor < :into AND i.contact_id = :into
            AND i.served_at IS NULL
    ) AS has_it
    FROM message m WHERE m.contact_id = :from AND m.state IN ('scheduled', 'due') ORDER BY m.id
"""
_LOOK = text(_DECIDE)
_TAKE = text(_DECIDE + " FOR NO KEY UPDATE OF m")
#: Of two that would say the same, the one that has begun already is the one.
_TWICE = """
    SELECT o.id, o.state FROM message o
    WHERE o.contact_id = :into AND o.state IN ('scheduled', 'due') AND o.resend_of IS NULL AND EXISTS (
        SELECT 1 FROM message m WHERE m.contact_id = :from
            AND m.state IN ('sending', 'in_doubt', 'unconfirmed', 'sent', 'delivered', 'read')
            AND (m.campaign_id = o.campaign_id OR m.event_id = o.event_id))
    ORDER BY o.id
"""
_LOOK_TWICE = text(_TWICE)
_TAKE_TWICE = text(_TWICE + " FOR NO KEY UPDATE OF o")
_CANCEL = text("""
    WITH cancelled AS (
        UPDATE message m SET state = 'cancelled', state_at = :now, reason = 'merged', due_at = NULL, wakes_on = NULL
        FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[])) AS was (id, state)
        WHERE m.id = was.id AND m.state = was.state
        RETURNING m.id, was.state
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, state, 'cancelled', 'merged', :actor FROM cancelled
""")
_MOVE = text("""
    WITH moved AS (
        UPDATE message SET contact_id = :into WHERE id = ANY(:ids) RETURNING id, state
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, state, state, 'merged', :actor FROM moved
""")


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What becomes of waiting messages: ids of those that go on to the survivor, and of those that are taken back."""

    move: list[int] = field(default_factory=list)
    cancel: list[int] = field(default_factory=list)


def look_at_waiting(session: Session, from_id: int, into_id: int) -> Waiting:
    """What ``merge_waiting`` would do, if nothing changed until then. Writes nothing."""
    session.flush()
    values = {"from": from_id, "into": into_id}
    rows = session.connection().execute(_LOOK, values).all()
    twice = session.connection().execute(_LOOK_TWICE, values).all()
    return Waiting(
        move=[row.id for row in rows if not row.has_it],
        cancel=sorted([row.id for row in rows if row.has_it] + [row.id for row in twice]),
    )


def merge_waiting(session: Session, from_id: int, into_id: int, *, actor: str, now: int) -> Waiting:
    """Let what waits for one contact go on to another, to be decided anew there, and take back what they would get
    twice. The caller holds both contacts' rows. What is on the wire stays there."""
    session.flush()
    connection = session.connection()
    values = {"from": from_id, "into": into_id}
    rows = connection.execute(_TAKE, values).all()
    twice = connection.execute(_TAKE_TWICE, values).all()
    cancel = [row for row in rows if row.has_it] + list(twice)
    move = [row.id for row in rows if not row.has_it]
    if cancel:
        connection.execute(
            _CANCEL,
            {"ids": [row.id for row in cancel], "states": [row.state for row in cancel], "now": now, "actor": actor},
        )
    if move:
        connection.execute(_MOVE, {"ids": move, "into": into_id, "now": now, "actor": actor})
    wake_contacts(session, [into_id], now)
    return Waiting(move=move, cancel=sorted(row.id for row in cancel))
