"""What the platform tells us happened: echoes, deliveries, reads. Never fenced, in any order, early or late.

Each function returns whether (or how many) messages moved. ``sent → delivered → read`` never goes backwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.metadata import read_metadata
from scheduler.outbox.states import ACCEPTED, LogRow, append_log

#: In the log of a message in flight: a delivery named a message id that no answer has told us yet.
EARLY_DELIVERY = "early_delivery:"

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
_ON_THE_WIRE = text("""
    SELECT a.message_id, a.id, m.state FROM attempt a
    JOIN message m ON m.id = a.message_id
    JOIN contact c ON c.id = a.contact_id
    WHERE c.page_id = :page_id AND c.psid = :psid AND a.outcome IN ('sending', 'in_doubt', 'unconfirmed')
    ORDER BY a.message_id FOR NO KEY UPDATE OF m
""")
_MOVE = text("UPDATE message SET state = :state, state_at = :now WHERE id = ANY(:ids)")
_EARLY = text("""
    SELECT DISTINCT l.message_id FROM message_log l
    JOIN unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[])) AS d (id, reason)
        ON l.message_id = d.id AND l.reason = d.reason
    ORDER BY l.message_id
""")
_ACCEPT = text("""
    UPDATE message m SET state = 'sent', state_at = :now, mid = coalesce(d.mid, m.mid), reason = NULL, wakes_on = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[])) AS d (id, mid) WHERE m.id = d.id
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
    _accept_attempt(session, message_id, attempt_id, mid, now)
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
        known = {row.mid for row in rows}
        _remember_early(session, page_id, psid, [mid for mid in mids if mid not in known], now)
        moved = [(row.id, row.state) for row in rows if row.state == "sent"]
    elif watermark_ms is not None:
        moved = _before(session, page_id, psid, ("sent",), watermark_ms)
    else:
        moved = []
    return _move(session, moved, "delivered", now)


def record_read(session: Session, page_id: int, psid: str, watermark_ms: int, now: int) -> int:
    """The person read all that was sent to them before the watermark.

    A message whose acceptance is not known yet is left alone: nothing tells whether it was among them.
    """
    return _move(session, _before(session, page_id, psid, ("sent", "delivered"), watermark_ms), "read", now)


def accept(session: Session, accepted: Sequence[Accepted], *, reason: str | None, actor: str, now: int) -> None:
    """Move messages, whose rows the caller holds, to ``sent``; or on to ``delivered`` where that was known before."""
    if not accepted:
        return
    ids, mids = [one.message_id for one in accepted], [one.mid for one in accepted]
    session.execute(_ACCEPT, {"ids": ids, "mids": mids, "now": now})
    append_log(
        session,
        [
            LogRow(
                message_id=one.message_id, at=now, from_state=one.was, to_state="sent", attempt_id=one.attempt_id,
                reason=reason, actor=actor,
            )
            for one in accepted
        ],
    )  # fmt: skip
    early = session.execute(_EARLY, {"ids": ids, "reasons": [f"{EARLY_DELIVERY}{mid}" for mid in mids]}).scalars()
    _move(session, [(message_id, "sent") for message_id in early], "delivered", now)


def _accept_attempt(session: Session, message_id: int, attempt_id: int, mid: str, now: int) -> None:
    # A newer attempt of the same message may be on the wire when the platform accepted one it had answered with an
    # error: the index allows one live attempt a message, and the newer one keeps its place until it is settled.
    session.execute(
        text("""
            UPDATE attempt SET outcome = 'sent', mid = :mid, settled_at = coalesce(settled_at, :now)
            WHERE id = :id AND outcome <> 'sent' AND NOT EXISTS (
                SELECT 1 FROM attempt other WHERE other.message_id = :message_id AND other.id <> :id
                AND other.outcome IN ('sending', 'in_doubt', 'sent', 'unconfirmed'))
        """),
        {"id": attempt_id, "message_id": message_id, "mid": mid, "now": now},
    )


def _before(
    session: Session, page_id: int, psid: str, states: Sequence[str], watermark_ms: int
) -> list[tuple[int, str]]:
    rows = session.execute(
        _BEFORE_WATERMARK, {"page_id": page_id, "psid": psid, "states": list(states), "watermark": watermark_ms}
    )
    return [(row.id, row.state) for row in rows]


def _move(session: Session, moved: Sequence[tuple[int, str]], state: str, now: int) -> int:
    if moved:
        session.execute(_MOVE, {"state": state, "now": now, "ids": [message_id for message_id, _ in moved]})
        append_log(
            session,
            [
                LogRow(message_id=message_id, at=now, from_state=was, to_state=state, actor="webhook")
                for message_id, was in moved
            ],
        )
    return len(moved)


def _remember_early(session: Session, page_id: int, psid: str, mids: Sequence[str], now: int) -> None:
    # The delivery may be of a message whose answer we have not seen. Only a person with an attempt on the wire can
    # be meant, so what other apps of the page send leaves nothing behind.
    if not mids:
        return
    rows = session.execute(_ON_THE_WIRE, {"page_id": page_id, "psid": psid}).all()
    append_log(
        session,
        [
            LogRow(
                message_id=row.message_id, at=now, from_state=row.state, to_state=row.state, attempt_id=row.id,
                reason=EARLY_DELIVERY + mid, actor="webhook",
            )
            for row in rows
            for mid in mids
        ],
    )  # fmt: skip
