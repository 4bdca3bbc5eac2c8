"""Writes down what became of attempts, in bulk.

INVARIANT: an outcome counts once. ``refused``, ``not_sent`` and ``in_doubt`` move an attempt only out of ``sending``
(a late answer also out of ``in_doubt``); ``sent`` is evidence and moves it out of ``unconfirmed`` as well. What an
echo or the sweep settled before is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler import crash_points
from scheduler.consent.blocks import suppress
from scheduler.consent.tokens import recount_tokens, stop_refused_tokens
from scheduler.contacts.holds import PLATFORM, hand_over
from scheduler.contacts.inbound import hold_windows_shut
from scheduler.contacts.lock import lock_contacts
from scheduler.outbox.evidence import Accepted, accept, cancel_needless
from scheduler.outbox.pauses import next_try
from scheduler.outbox.states import ACCEPTED, UNSENT
from scheduler.outbox.wake import wake_contacts, wake_paced
from scheduler.pages.stops import stop_page

#: outcome → (attempts it may settle, what the message becomes). ``sent`` goes through ``evidence.accept``.
SETTLES: dict[str, tuple[frozenset[str], str]] = {
    "sent": (frozenset({"sending", "in_doubt", "unconfirmed"}), "sent"),
    "refused": (frozenset({"sending", "in_doubt"}), "refused"),
    "not_sent": (frozenset({"sending", "in_doubt"}), "due"),
    "in_doubt": (frozenset({"sending"}), "in_doubt"),
}
_MESSAGES = text("""
    SELECT id, state, due_at, deadline, expires_at, resend_of FROM message WHERE id = ANY(:ids)
    ORDER BY id FOR NO KEY UPDATE
""")
_ATTEMPTS = text("SELECT id, outcome FROM attempt WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_BEGUN = text("SELECT id, begun_at FROM attempt WHERE id = ANY(:ids)")
_SETTLE_ATTEMPTS = text("""
    UPDATE attempt a SET outcome = d.outcome, settled_at = :now, http_status = d.http_status, code = d.code,
        subcode = d.subcode, mid = coalesce(d.mid, a.mid)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:wases AS text[]), CAST(:outcomes AS text[]), CAST(:statuses AS integer[]),
                CAST(:codes AS integer[]), CAST(:subcodes AS integer[]), CAST(:mids AS text[]))
        AS d (id, was, outcome, http_status, code, subcode, mid)
    WHERE a.id = d.id AND a.outcome = d.was
""")
_MOVE = text("""
    WITH moved AS (
        UPDATE message m SET state = d.state, state_at = :now, reason = d.reason, wakes_on = d.wakes_on,
            due_at = d.due_at
        FROM unnest(CAST(:ids AS bigint[]), CAST(:wases AS text[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
                    CAST(:dues AS bigint[]), CAST(:wakes AS text[]), CAST(:attempts AS bigint[]))
            AS d (id, was, state, reason, due_at, wakes_on, attempt)
        WHERE m.id = d.id AND m.state = d.was
        RETURNING m.id, d.was, m.state, m.reason, d.attempt, CASE WHEN m.state = 'scheduled' THEN m.due_at END AS until
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, attempt_id, reason, until, actor)
    SELECT id, :now, was, state, attempt, reason, until, 'deliver' FROM moved ORDER BY id
""")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one attempt, as the answer (or the lack of one) was understood."""

    message_id: int
    attempt_id: int
    contact_id: int
    page_id: int
    #: ``sent`` | ``refused`` | ``not_sent`` (proven) | ``in_doubt``.
    result: str
    reason: str | None = None
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    mid: str | None = None
    #: What the answer says beyond this message: ``blocked`` | ``unreachable`` | ``handover`` | ``window_closed`` (the
    #: contact), ``notifications_stopped`` (its token), ``stop_page``.
    effect: str | None = None
    #: The permission token that it went on.
    token_id: int | None = None
    #: Of ``not_sent``: to be tried again after so many seconds on Duly's clock; None: as soon as may be.
    pause: int | None = None


def settle(session: Session, outcomes: Sequence[Outcome], now: int) -> int:
    """Record the outcomes, at most one an attempt, and their effects on contacts and pages.

    Returns how many messages moved; an outcome that comes after the evidence moves none.
    """
    if not outcomes:
        return 0
    shut = _spread(session, outcomes, now)
    messages = {
        row.id: row
        for row in session.connection().execute(
            _MESSAGES, {"ids": sorted({outcome.message_id for outcome in outcomes})}
        )
    }
    states = {message_id: row.state for message_id, row in messages.items()}
    before = {
        row.id: row.outcome
        for row in session.connection().execute(
            _ATTEMPTS, {"ids": sorted({outcome.attempt_id for outcome in outcomes})}
        )
    }
    fitting = [outcome for outcome in outcomes if before.get(outcome.attempt_id, "") in SETTLES[outcome.result][0]]
    if not fitting:
        return 0
    session.connection().execute(
        _SETTLE_ATTEMPTS,
        {
            "now": now,
            "ids": [outcome.attempt_id for outcome in fitting],
            "wases": [before[outcome.attempt_id] for outcome in fitting],
            "outcomes": [outcome.result for outcome in fitting],
            "statuses": [outcome.http_status for outcome in fitting],
            "codes": [outcome.code for outcome in fitting],
            "subcodes": [outcome.subcode for outcome in fitting],
            "mids": [outcome.mid for outcome in fitting],
        },
    )
    crash_points.reach("settle.middle")
    # What was not sent did not use its token; what was sent used it when we knew, which is after it arrived.
    recount_tokens(session, [each.token_id for each in fitting if each.token_id is not None])
    moving = [outcome for outcome in fitting if _moves(outcome, states[outcome.message_id])]
    moves = [_moved(outcome, messages, shut, now) for outcome in moving if outcome.result != "sent"]
    _move(session, moves, now)
    back = [each.outcome.message_id for each in moves if each.to in UNSENT]
    if resends := [message_id for message_id in back if messages[message_id].resend_of is not None]:
        cancel_needless(session, resends, now)
    accepted = [
        Accepted(
            message_id=outcome.message_id, attempt_id=outcome.attempt_id, mid=outcome.mid,
            was=states[outcome.message_id],
        )
        for outcome in moving
        if outcome.result == "sent"
    ]  # fmt: skip
    accept(session, accepted, reason=None, actor="deliver", now=now)
    # What did not arrive counts no longer: what a cap or a gap put off on its account may go sooner. That is so also
    # where the message was dead by then and stays it, or is parked.
    refused = {outcome.contact_id for outcome in fitting if outcome.result == "refused"}
    wake_contacts(session, sorted(refused), now)
    again = {each.outcome.attempt_id for each in moves if each.to == "due" or each.due_at is not None}
    gone = {each.contact_id for each in fitting if each.result == "not_sent" and each.attempt_id not in again}
    wake_paced(session, sorted(gone - refused), now)
    return len(moving)


def _moves(outcome: Outcome, state: str) -> bool:
    # Acceptance moves a message from wherever it is; everything else only from where its attempt left it.
    return state not in ACCEPTED if outcome.result == "sent" else state in SETTLES[outcome.result][0]


def _spread(session: Session, outcomes: Sequence[Outcome], now: int) -> set[int]:
    """What answers say about pages and contacts. First of all, for the lock order is page, contact, message.

    Returns the contacts whose window is held shut until they write.
    Not fenced: that the platform refuses a token or that somebody blocked the page stays true however late we hear it.
    """
    stopped: dict[int, Outcome] = {}
    silent: dict[int, str] = {}
    closed: dict[int, int] = {}
    no_more: list[int] = []
    for outcome in outcomes:
        if outcome.effect == "stop_page":
            stopped.setdefault(outcome.page_id, outcome)
        elif outcome.effect == "window_closed":
            closed[outcome.attempt_id] = outcome.contact_id
        elif outcome.effect == "notifications_stopped":
            no_more.append(outcome.attempt_id)
        elif outcome.effect is not None:
            silent[outcome.contact_id] = outcome.effect
    for page_id, outcome in sorted(stopped.items()):
        stop_page(session, page_id, outcome.reason or "refused", now)
    # Those of refusals too, whose other messages are woken afterwards, and those whose tokens change.
    others = (each.contact_id for each in outcomes if each.result == "refused" or each.token_id is not None)
    lock_contacts(session, [*silent, *closed.values(), *others])
    if no_more:
        stop_refused_tokens(session, no_more, now)
    for contact_id, effect in sorted(silent.items()):
        if effect == "handover":
            hand_over(session, contact_id, by=PLATFORM, at=now, now=now)
        else:
            suppress(session, contact_id, effect, source="send_error", now=now)
    if not closed:
        return set()
    # As of the request: what the person wrote since then opened it again.
    begun = {row.id: row.begun_at for row in session.connection().execute(_BEGUN, {"ids": list(closed)})}
    return hold_windows_shut(session, {closed[attempt_id]: at for attempt_id, at in sorted(begun.items())})


@dataclass(slots=True, kw_only=True)
class _Move:
    """Where an outcome puts its message."""

    outcome: Outcome
    came: str
    to: str
    due_at: int | None
    wakes_on: str | None


def _moved(outcome: Outcome, messages: Mapping[int, Any], shut: Collection[int], now: int) -> _Move:
    message = messages[outcome.message_id]
    to, due_at, wakes_on = SETTLES[outcome.result][1], message.due_at, None
    if to == "due" and outcome.effect == "window_closed" and outcome.contact_id in shut:
        to, due_at, wakes_on = "scheduled", None, "inbound"
    elif to == "due" and outcome.pause is not None:
        to, due_at = "scheduled", next_try(now, outcome.pause, message.deadline, message.expires_at)
    return _Move(outcome=outcome, came=message.state, to=to, due_at=due_at, wakes_on=wakes_on)


def _move(session: Session, moves: Sequence[_Move], now: int) -> None:
    if not moves:
        return
    session.connection().execute(
        _MOVE,
        {
            "now": now,
            "ids": [move.outcome.message_id for move in moves],
            "wases": [move.came for move in moves],
            "states": [move.to for move in moves],
            "reasons": [move.outcome.reason for move in moves],
            "dues": [move.due_at for move in moves],
            "wakes": [move.wakes_on for move in moves],
            "attempts": [move.outcome.attempt_id for move in moves],
        },
    )
