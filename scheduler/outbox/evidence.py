"""What the platform tells us happened: echoes, deliveries, reads. Never fenced, in any order, early or late.

Each function returns whether (or how many) messages moved. ``sent → delivered → read`` never goes backwards. What comes
before the acceptance is known is kept in the message's log and counts once it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.tokens import recount_tokens
from scheduler.outbox.metadata import read_metadata
from scheduler.outbox.states import ACCEPTED, DEAD_LETTERS

#: In the log of a message that we do not know to be accepted: a delivery named this id, which no answer has told us;
EARLY_DELIVERY = "early_delivery:"
#: a delivery without ids, or a read, of everything before an instant after the attempt began.
EARLY_DELIVERIES = "early_delivery"
EARLY_READ = "early_read"
#: How long after an attempt that was answered with a no, or proven not sent, such evidence is kept for it, seconds.
_KEPT_FOR = 36 * 3600

_DELIVERED = text("""
    SELECT id, state, mid FROM message WHERE page_id = :page_id AND mid = ANY(:mids)
    ORDER BY id FOR NO KEY UPDATE
""")
#: By the person's attempts: there is an index for those, and none for the messages that have left.
_BEFORE_WATERMARK = text("""
    SELECT m.id, m.state FROM contact c
    JOIN attempt a ON a.contact_id = c.id AND a.outcome = 'sent'
    JOIN message m ON m.id = a.message_id
    WHERE c.page_id = :page_id AND c.psid = :psid AND m.state = ANY(:states) AND a.begun_at <= :watermark / 1000
    ORDER BY m.id FOR NO KEY UPDATE OF m
""")
_MAY_HAVE_ARRIVED = text("""
    SELECT a.id, a.message_id, m.state FROM contact c
    JOIN attempt a ON a.contact_id = c.id AND a.outcome <> 'sent'
    JOIN message m ON m.id = a.message_id
    WHERE c.page_id = :page_id AND c.psid = :psid AND m.state <> ALL(:accepted)
    AND (a.outcome IN ('sending', 'in_doubt', 'unconfirmed') OR a.begun_at > :since)
    AND (CAST(:watermark AS bigint) IS NULL OR a.begun_at <= CAST(:watermark AS bigint) / 1000)
    ORDER BY m.id, a.id FOR NO KEY UPDATE OF m
""")
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
_ACCEPT_ATTEMPT = text("""
    UPDATE attempt SET outcome = 'sent', mid = :mid, settled_at = :now WHERE id = :id AND outcome <> 'sent'
    RETURNING token_id
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
        FROM unsent WHERE m.id = unsent.id AND m.state = unsent.state RETURNING m.id, unsent.state AS was
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, was, 'cancelled', 'arrived_before', :actor FROM cancelled
""")


@dataclass(slots=True, kw_only=True)
class Accepted:
    """A message that the platform has, and the state it was in here until we knew."""

    message_id: int
    attempt_id: int
    mid: str | None
    was: str


def lock_echoed(session: Session, metadata: Collection[str | None]) -> None:
    """Lock the messages that these echoes name, by id: as whoever settles them does, whatever order the echoes have."""
    named = [read_metadata(each) for each in metadata if each]
    ids = sorted({found[0] for found in named if found is not None})
    if ids:
        session.execute(text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"), {"ids": ids})


def record_echo(session: Session, page_id: int, metadata: str | None, mid: str, at: int, now: int) -> bool:
    """The platform echoes a message: proof that the attempt its metadata names was accepted.

    False when the metadata is not ours (somebody else's message) or the attempt is not of this page.
    ``at`` is the platform's instant; the log keeps ours, ``now``.
    """
    del at
    named = read_metadata(metadata) if metadata else None
    if named is None:
        return False
    message_id, attempt_id = named
    found = session.execute(
        text("SELECT state FROM message WHERE id = :id AND page_id = :page_id FOR NO KEY UPDATE"),
        {"id": message_id, "page_id": page_id},
    ).first()
    attempt = session.execute(
        text("SELECT outcome FROM attempt WHERE id = :id AND message_id = :message_id"),
        {"id": attempt_id, "message_id": message_id},
    ).first()
    if found is None or attempt is None:
        return False
    # Also where a newer attempt is on the wire: what the platform accepted, it accepted.
    proven_on = session.execute(_ACCEPT_ATTEMPT, {"id": attempt_id, "mid": mid, "now": now}).scalar_one_or_none()
    if proven_on is not None:
        recount_tokens(session, [proven_on])
    if found.state in ACCEPTED:
        # The answer came first; the echo only makes sure that the message id is known.
        session.execute(
            text("UPDATE message SET mid = coalesce(mid, :mid) WHERE id = :id"), {"id": message_id, "mid": mid}
        )
        return False
    proven = Accepted(message_id=message_id, attempt_id=attempt_id, mid=mid, was=found.state)
    accept(session, [proven], reason="echo", actor="webhook", now=now)
    return True


def record_delivery(
    session: Session, page_id: int, psid: str, mids: Sequence[str], watermark_ms: int | None, now: int
) -> int:
    """The platform delivered: the messages with these ids, or, where it names none, all before the watermark."""
    if mids:
        rows = session.execute(_DELIVERED, {"page_id": page_id, "mids": list(mids)}).all()
        unknown = sorted(set(mids) - {row.mid for row in rows})
        if unknown and (waiting := _may_have_arrived(session, page_id, psid, None, now)):
            # Their answers may have been written while we waited for the rows: look again before keeping it for later.
            found = session.execute(_DELIVERED, {"page_id": page_id, "mids": unknown}).all()
            rows = [*rows, *found]
            told = {row.mid for row in found}
            _remember(session, waiting, [EARLY_DELIVERY + mid for mid in unknown if mid not in told], now)
        moved = [(row.id, row.state) for row in rows if row.state == "sent"]
    elif watermark_ms is not None:
        _remember(session, _may_have_arrived(session, page_id, psid, watermark_ms, now), [EARLY_DELIVERIES], now)
        moved = _before(session, page_id, psid, ("sent",), watermark_ms)
    else:
        moved = []
    return _move(session, moved, "delivered", now)


def record_read(session: Session, page_id: int, psid: str, watermark_ms: int, now: int) -> int:
    """The person read all that was sent to them before the watermark.

    It counts for what was begun before it; where the acceptance of that is not known yet, as soon as it is.
    """
    _remember(session, _may_have_arrived(session, page_id, psid, watermark_ms, now), [EARLY_READ], now)
    return _move(session, _before(session, page_id, psid, ("sent", "delivered"), watermark_ms), "read", now)


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
    _move(session, [(row.message_id, "sent") for row in early if not row.read], "delivered", now)
    _move(session, [(row.message_id, "sent") for row in early if row.read], "read", now)
    repeated = [one.message_id for one in accepted if one.was in DEAD_LETTERS]
    if repeated and (again := session.connection().execute(_LOCK_RESENDS, {"ids": repeated}).scalars().all()):
        session.connection().execute(_CANCEL, {"ids": list(again), "actor": actor, "now": now})


def cancel_needless(session: Session, resends: Collection[int], now: int) -> None:
    """Cancel those of the re-sends, given back unsent, that repeat what has arrived meanwhile. The caller has them."""
    needless = session.execute(_NEEDLESS, {"ids": list(resends), "accepted": list(ACCEPTED)}).scalars().all()
    if needless:
        session.execute(_CANCEL, {"ids": list(needless), "actor": "deliver", "now": now})


def _before(
    session: Session, page_id: int, psid: str, states: Sequence[str], watermark_ms: int
) -> list[tuple[int, str]]:
    rows = session.execute(
        _BEFORE_WATERMARK, {"page_id": page_id, "psid": psid, "states": list(states), "watermark": watermark_ms}
    )
    return [(row.id, row.state) for row in rows]


def _move(session: Session, moved: Sequence[tuple[int, str]], state: str, now: int) -> int:
    if not moved:
        return 0
    values = {"state": state, "now": now, "ids": [id_ for id_, _ in moved], "wases": [was for _, was in moved]}
    # One row of the log a message that moved.
    return int(session.connection().execute(_MOVE, values).rowcount)


def _may_have_arrived(
    session: Session, page_id: int, psid: str, watermark_ms: int | None, now: int
) -> list[tuple[int, int, str]]:
    """(message, attempt, state) of what was posted to the person and is not known to be accepted; locked.

    Only such a message can be meant, so what other apps of the page send leaves nothing behind.
    """
    rows = session.execute(
        _MAY_HAVE_ARRIVED,
        {
            "page_id": page_id, "psid": psid, "accepted": list(ACCEPTED), "since": now - _KEPT_FOR,
            "watermark": watermark_ms,
        },
    )  # fmt: skip
    return [(row.message_id, row.id, row.state) for row in rows]


def _remember(session: Session, waiting: Sequence[tuple[int, int, str]], reasons: Sequence[str], now: int) -> None:
    if waiting and reasons:
        messages, attempts, states = (list(column) for column in zip(*waiting, strict=True))
        session.execute(
            _REMEMBER,
            {"messages": messages, "attempts": attempts, "states": states, "reasons": list(reasons), "now": now},
        )
