"""What webhooks tell of our messages: echoes, deliveries, reads, of many people in a few statements for all.

Of several deliveries or reads of one person the newest instant says all. The caller holds the people's rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.tokens import recount_tokens
from scheduler.lineage.echoes import echoed
from scheduler.outbox.evidence import (
    EARLY_DELIVERIES,
    EARLY_DELIVERY,
    EARLY_READ,
    KEPT_FOR,
    Accepted,
    accept,
    move,
    remember,
)
from scheduler.outbox.metadata import read_metadata
from scheduler.outbox.states import ACCEPTED
from scheduler.store.direct import Ask, fetch, run, together

_ECHOED = text("SELECT id, state, page_id FROM message WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_ATTEMPTS = text("SELECT id, message_id FROM attempt WHERE id = ANY(:ids)")
_ACCEPT_ATTEMPTS = text("""
    UPDATE attempt a SET outcome = 'sent', mid = d.mid, settled_at = :now
    FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[])) AS d (id, mid)
    WHERE a.id = d.id AND a.outcome <> 'sent' RETURNING a.token_id
""")
#: The answer came first; the echo only makes sure that the message id is known.
_NAME = text("""
    UPDATE message m SET mid = d.mid FROM unnest(CAST(:ids AS bigint[]), CAST(:mids AS text[])) AS d (id, mid)
    WHERE m.id = d.id AND m.mid IS NULL
""")
_DELIVERED = text("""
    SELECT id, state, mid, page_id FROM message WHERE mid = ANY(:mids) ORDER BY id FOR NO KEY UPDATE
""")
#: By the person's attempts: there is an index for those, and none for the messages that have left.
_BEFORE = text("""
    SELECT m.id, m.state
    FROM unnest(CAST(:contacts AS bigint[]), CAST(:marks AS bigint[])) AS d (contact_id, mark)
    JOIN attempt a ON a.contact_id = d.contact_id AND a.outcome = 'sent' AND a.begun_at <= d.mark / 1000
    JOIN message m ON m.id = a.message_id
    WHERE m.state = ANY(:states) ORDER BY m.id FOR NO KEY UPDATE OF m
""")
_MAY_HAVE_ARRIVED = text("""
    SELECT a.id, a.message_id, m.state, d.contact_id
    FROM unnest(CAST(:contacts AS bigint[]), CAST(:marks AS bigint[])) AS d (contact_id, mark)
    JOIN attempt a ON a.contact_id = d.contact_id AND a.outcome <> 'sent'
    JOIN message m ON m.id = a.message_id
    WHERE m.state <> ALL(:accepted)
    AND (a.outcome IN ('sending', 'in_doubt', 'unconfirmed') OR a.begun_at > :since)
    AND (d.mark IS NULL OR a.begun_at <= d.mark / 1000)
    ORDER BY m.id, a.id FOR NO KEY UPDATE OF m
""")


@dataclass(slots=True, kw_only=True)
class Told:
    """What the platform told of what one person received."""

    page_id: int
    #: The ids of messages that were delivered.
    mids: set[str] = field(default_factory=set)
    #: Everything sent before these instants, milliseconds, was delivered, was read.
    delivered_ms: int | None = None
    read_ms: int | None = None


def record_echoes(session: Session, echoes: Sequence[tuple[int, str, str]], now: int) -> int:
    """The platform echoes messages (page, metadata, message id): proof that the attempts they name were accepted.

    Those whose metadata is not ours, or names an attempt of another page, prove nothing. Returns how many were news.
    """
    named = [(page_id, found, mid) for page_id, metadata, mid in echoes if (found := read_metadata(metadata))]
    if not named:
        return 0
    messages = {row.id: row for row in fetch(session, _ECHOED, {"ids": sorted({one[1][0] for one in named})})}
    rows = fetch(session, _ATTEMPTS, {"ids": sorted({one[1][1] for one in named})})
    attempts = {row.id: row.message_id for row in rows}
    # Of attempts that a restored database does not know: they are evidence all the same, see ``scheduler/lineage``.
    echoed(session, [(attempt, message, mid) for _, (message, attempt), mid in named if attempt not in attempts])
    proven: dict[int, str] = {}
    first: dict[int, tuple[int, str]] = {}
    for page_id, (message_id, attempt_id), mid in named:
        message = messages.get(message_id)
        if message is not None and message.page_id == page_id and attempts.get(attempt_id) == message_id:
            proven.setdefault(attempt_id, mid)
            first.setdefault(message_id, (attempt_id, mid))
    if not proven:
        return 0
    # Also where a newer attempt is on the wire: what the platform accepted, it accepted.
    values = {"ids": list(proven), "mids": list(proven.values()), "now": now}
    tokens = {row.token_id for row in fetch(session, _ACCEPT_ATTEMPTS, values) if row.token_id is not None}
    recount_tokens(session, tokens)
    known = {message_id: mid for message_id, (_, mid) in first.items() if messages[message_id].state in ACCEPTED}
    if known:
        run(session, _NAME, {"ids": list(known), "mids": list(known.values())})
    news = [
        Accepted(message_id=message_id, attempt_id=attempt_id, mid=mid, was=messages[message_id].state)
        for message_id, (attempt_id, mid) in sorted(first.items())
        if message_id not in known
    ]
    accept(session, news, reason="echo", actor="webhook", now=now)
    return len(news)


def record_told(session: Session, told: Mapping[int, Told], now: int) -> int:
    """Messages were delivered to people, and read by them (contact id → what was told), in any order, early or late.

    Where ids are told, a delivery speaks of those. Read counts what was begun before; where the acceptance of that is
    not known yet, as soon as it is. Returns how often a message moved.
    """
    named = {contact_id: one for contact_id, one in told.items() if one.mids}
    moved = _delivered(session, named, now) if named else 0
    marks = {contact_id: one.delivered_ms for contact_id, one in told.items() if one.delivered_ms is not None}
    if marks:
        moved += move(session, _before(session, marks, ("sent",), EARLY_DELIVERIES, now), "delivered", now)
    marks = {contact_id: one.read_ms for contact_id, one in told.items() if one.read_ms is not None}
    if marks:
        moved += move(session, _before(session, marks, ("sent", "delivered"), EARLY_READ, now), "read", now)
    return moved


def _delivered(session: Session, named: Mapping[int, Told], now: int) -> int:
    found = _by_mid(session, {(one.page_id, mid) for one in named.values() for mid in one.mids})
    unknown = {
        contact_id: {mid for mid in one.mids if (one.page_id, mid) not in found} for contact_id, one in named.items()
    }
    wanted: dict[int, int | None] = {contact_id: None for contact_id, mids in unknown.items() if mids}
    waiting: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for contact_id, each in _may_have_arrived(session, wanted, now) if wanted else ():
        waiting[contact_id].append(each)
    if waiting:
        # Their answers may have been written while we waited for the rows: look again before keeping it for later.
        again = {(named[contact_id].page_id, mid) for contact_id in waiting for mid in unknown[contact_id]}
        found |= _by_mid(session, again)
        for contact_id, rows in waiting.items():
            page_id = named[contact_id].page_id
            early = sorted(mid for mid in unknown[contact_id] if (page_id, mid) not in found)
            remember(session, rows, [EARLY_DELIVERY + mid for mid in early], now)
    return move(session, sorted((id_, state) for id_, state in found.values() if state == "sent"), "delivered", now)


def _by_mid(session: Session, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], tuple[int, str]]:
    """(page, message id of the platform) → (message, state), of those there are; locked."""
    rows = fetch(session, _DELIVERED, {"mids": sorted({mid for _, mid in wanted})})
    return {(row.page_id, row.mid): (row.id, row.state) for row in rows if (row.page_id, row.mid) in wanted}


def _may_have_arrived(
    session: Session, marks: Mapping[int, int | None], now: int
) -> list[tuple[int, tuple[int, int, str]]]:
    """(contact, (message, attempt, state)) of what was posted to people and is not known to be accepted; locked."""
    rows = fetch(session, *_arrived_ask(marks, now))
    return [(row.contact_id, (row.message_id, row.id, row.state)) for row in rows]


def _arrived_ask(marks: Mapping[int, int | None], now: int) -> Ask:
    return _MAY_HAVE_ARRIVED, {
        "contacts": list(marks), "marks": list(marks.values()), "accepted": list(ACCEPTED), "since": now - KEPT_FOR,
    }  # fmt: skip


def _before(
    session: Session, marks: Mapping[int, int], states: Sequence[str], early: str, now: int
) -> list[tuple[int, str]]:
    """(message, state) of what was accepted before the marks; for what may be accepted yet, ``early`` is remembered."""
    values = {"contacts": list(marks), "marks": list(marks.values()), "states": list(states)}
    waiting, rows = together(session, _arrived_ask({**marks}, now), (_BEFORE, values))
    remember(session, [(row.message_id, row.id, row.state) for row in waiting], [early], now)
    # A message may have been accepted in several attempts.
    return sorted({(row.id, row.state) for row in rows})
