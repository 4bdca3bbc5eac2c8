"""What evidence comes to: a message is accepted, delivered, read. Never fenced, in any order, early or late.

``sent → delivered → read`` never goes backwards. What comes before the acceptance is known is kept in the message's log
and counts once it is. Who tells of it is in ``told.py`` (webhooks) and ``settle.py`` (answers).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.states import ACCEPTED, DEAD_LETTERS
from scheduler.outbox.wake import wake_paced

#: In the log of a message that we do not know to be accepted: a delivery named this id, which no answer has told us;
EARLY_DELIVERY = "early_delivery:"
#: a delivery without ids, or a read, of everything before an instant after the attempt began.
EARLY_DELIVERIES = "early_delivery"
EARLY_READ = "early_read"
#: How long after an attempt that was answered with a no, or proven not sent, such evidence is kept for it, seconds.
KEPT_FOR = 36 * 3600

_REMEMBER = text("""
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, actor)
    SELECT d.message_id, :now, d.state, d.state, d.attempt_id, r.reason, 'webhook'
    FROM unnest(CAST(:messages AS bigint[]), CAST(:attempts AS bigint[]), CAST(:states AS text[]))
        AS d (message_id, attempt_id, state)
    CROSS JOIN unnest(CAST(:reasons AS text[])) AS r (reason)
    WHERE NOT EXISTS (
        SELECT 1 FROM message_log l
        WHERE l.message_id = d.message_id AND l.attempt_id = d.attempt_id AND l.reason = r.reason)
    ORDER BY d.message_id
""")
_MOVE = text("""
    WITH moved AS (
        UPDATE message m SET state = :state, state_at = :now
        FROM unnest(CAST(:ids AS bigint[]), CAST(:wases AS text[])) AS d (id, was)
        WHERE m.id = d.id AND m.state = d.was RETURNING m.id, d.was
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, actor)
    SELECT id, :now, was, :state, 'webhook' FROM moved ORDER BY id
""")
_EARLY = text("""
    SELECT l.message_id, bool_or(l.reason = :read) AS read FROM message_log l
    JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS bigint[]), CAST(:reasons AS text[]))
        AS d (id, attempt, reason)
        ON l.message_id = d.id
        AND (l.reason = d.reason OR l.attempt_id = d.attempt AND l.reason IN (:deliveries, :read))
    GROUP BY l.message_id ORDER BY l.message_id
""")
_ACCEPT = text("""
    WITH moved AS (
        UPDATE message m SET state = 'sent', state_at = :now, mid = coalesce(d.mid, m.mid), reason = NULL,
            wakes_on = NULL
        FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[]), CAST(:attempts AS bigint[]), CAST(:wases AS text[]))
            AS d (id, mid, attempt, was)
        WHERE m.id = d.id AND m.state = d.was RETURNING m.id, d.was, d.attempt
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, actor)
    SELECT id, :now, was, 'sent', attempt, :reason, :actor FROM moved ORDER BY id
""")
#: What was sent again in place of these. All of it is locked, whatever its state: one that is being given back unsent
#: must be seen as it is afterwards, by the next statement.
_LOCK_RESENDS = text("""
    WITH RECURSIVE again AS (
        SELECT id FROM message WHERE resend_of = ANY(:ids)
        UNION SELECT m.id FROM message m JOIN again ON m.resend_of = again.id
    )
    SELECT id FROM message WHERE id IN (SELECT id FROM again) ORDER BY id FOR NO KEY UPDATE
""")
#: Of these re-sends, those of which something that they repeat has arrived.
_NEEDLESS = text("""
    WITH RECURSIVE first AS (
        SELECT id AS again, resend_of FROM message WHERE id = ANY(:ids)
        UNION SELECT first.again, m.resend_of FROM message m JOIN first ON m.id = first.resend_of
    )
    SELECT DISTINCT first.again FROM first JOIN message m ON m.id = first.resend_of WHERE m.state = ANY(:accepted)
""")
_CANCEL = text("""
    WITH unsent AS (
        SELECT id, state FROM message WHERE id = ANY(:ids) AND state IN ('scheduled', 'due')
        ORDER BY id FOR NO KEY UPDATE
    ), cancelled AS (
        UPDATE message m SET state = 'cancelled', state_at = :now, reason = 'arrived_before', due_at = NULL,
            wakes_on = NULL
        FROM unsent WHERE m.id = unsent.id AND m.state = unsent.state RETURNING m.id, m.contact_id, unsent.state AS was
    ), logged AS (
        INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
        SELECT id, :now, was, 'cancelled', 'arrived_before', :actor FROM cancelled
    )
    SELECT DISTINCT contact_id FROM cancelled
""")


@dataclass(slots=True, kw_only=True)
class Accepted:
    """A message that the platform has, and the state it was in here until we knew."""

    message_id: int
    attempt_id: int
    mid: str | None
    was: str


def accept(session: Session, accepted: Sequence[Accepted], *, reason: str | None, actor: str, now: int) -> None:
    """Move messages, whose rows the caller holds, to ``sent``; or on to what was known before.

    A re-send of one of them that has not begun is cancelled: the first had arrived.
    """
    if not accepted:
        return
    ids, mids = [one.message_id for one in accepted], [one.mid for one in accepted]
    attempts = [one.attempt_id for one in accepted]
    session.connection().execute(
        _ACCEPT,
        {
            "ids": ids, "mids": mids, "attempts": attempts, "wases": [one.was for one in accepted],
            "reason": reason, "actor": actor, "now": now,
        },
    )  # fmt: skip
    early = session.connection().execute(
        _EARLY,
        {
            "ids": ids, "attempts": attempts, "reasons": [f"{EARLY_DELIVERY}{mid}" for mid in mids],
            "deliveries": EARLY_DELIVERIES, "read": EARLY_READ,
        },
    ).all()  # fmt: skip
    move(session, [(row.message_id, "sent") for row in early if not row.read], "delivered", now)
    move(session, [(row.message_id, "sent") for row in early if row.read], "read", now)
    repeated = [one.message_id for one in accepted if one.was in DEAD_LETTERS]
    if repeated and (again := session.connection().execute(_LOCK_RESENDS, {"ids": repeated}).scalars().all()):
        _cancel(session, again, actor, now)


def cancel_needless(session: Session, resends: Collection[int], now: int) -> None:
    """Cancel those of the re-sends, given back unsent, that repeat what has arrived meanwhile. The caller has them."""
    needless = session.execute(_NEEDLESS, {"ids": list(resends), "accepted": list(ACCEPTED)}).scalars().all()
    if needless:
        _cancel(session, needless, "deliver", now)


def _cancel(session: Session, ids: Sequence[int], actor: str, now: int) -> None:
    values = {"ids": list(ids), "actor": actor, "now": now}
    wake_paced(session, session.connection().execute(_CANCEL, values).scalars().all(), now)


def move(session: Session, moved: Sequence[tuple[int, str]], state: str, now: int) -> int:
    """Move these messages (id, the state that they are in), whose rows the caller holds, to ``state``; how many."""
    if not moved:
        return 0
    values = {"state": state, "now": now, "ids": [id_ for id_, _ in moved], "wases": [was for _, was in moved]}
    # One row of the log a message that moved.
    return int(session.connection().execute(_MOVE, values).rowcount)


def remember(session: Session, waiting: Sequence[tuple[int, int, str]], reasons: Sequence[str], now: int) -> None:
    """Keep evidence for these (message, attempt, state), once each, until it is known that they were accepted."""
    if waiting and reasons:
        messages, attempts, states = (list(column) for column in zip(*waiting, strict=True))
        session.execute(
            _REMEMBER,
            {"messages": messages, "attempts": attempts, "states": states, "reasons": list(reasons), "now": now},
        )
