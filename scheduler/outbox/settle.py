"""Writes down what became of attempts, in bulk.

INVARIANT: an outcome counts once. ``refused``, ``not_sent`` and ``in_doubt`` move an attempt only out of ``sending``
(a late answer also out of ``in_doubt``); ``sent`` is evidence and moves it out of ``unconfirmed`` as well. What an
echo or the sweep settled before is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler import crash_points
from scheduler.consent.blocks import suppress
from scheduler.contacts.holds import PLATFORM, hand_over
from scheduler.contacts.lock import lock_contacts
from scheduler.outbox.evidence import Accepted, accept
from scheduler.outbox.states import ACCEPTED, LogRow, append_log
from scheduler.outbox.wake import wake_contacts
from scheduler.pages.changes import stop_page

#: outcome → (attempts it may settle, what the message becomes). ``sent`` goes through ``evidence.accept``.
_SETTLES: dict[str, tuple[frozenset[str], str]] = {
    "sent": (frozenset({"sending", "in_doubt", "unconfirmed"}), "sent"),
    "refused": (frozenset({"sending", "in_doubt"}), "refused"),
    "not_sent": (frozenset({"sending", "in_doubt"}), "due"),
    "in_doubt": (frozenset({"sending"}), "in_doubt"),
}
_MESSAGES = text("""
    SELECT id, state FROM message WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE
""")
_ATTEMPTS = text("SELECT id, outcome FROM attempt WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_SETTLE_ATTEMPTS = text("""
    UPDATE attempt a SET outcome = d.outcome, settled_at = :now, http_status = d.http_status, code = d.code,
        subcode = d.subcode, mid = coalesce(d.mid, a.mid)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:outcomes AS text[]), CAST(:statuses AS integer[]),
                CAST(:codes AS integer[]), CAST(:subcodes AS integer[]), CAST(:mids AS text[]))
        AS d (id, outcome, http_status, code, subcode, mid)
    WHERE a.id = d.id
""")
_MOVE = text("""
    UPDATE message m SET state = d.state, state_at = :now, reason = d.reason
    FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:reasons AS text[])) AS d (id, state, reason)
    WHERE m.id = d.id
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
    #: What the answer says beyond this message: ``blocked`` | ``unreachable`` | ``handover`` (the contact),
    #: ``stop_page``.
    effect: str | None = None


def settle(session: Session, outcomes: Sequence[Outcome], now: int) -> int:
    """Record the outcomes, at most one an attempt, and their effects on contacts and pages.

    Returns how many messages moved; an outcome that comes after the evidence moves none.
    """
    if not outcomes:
        return 0
    _spread(session, outcomes, now)
    states = {
        row.id: row.state
        for row in session.execute(_MESSAGES, {"ids": sorted({outcome.message_id for outcome in outcomes})})
    }
    before = {
        row.id: row.outcome
        for row in session.execute(_ATTEMPTS, {"ids": sorted({outcome.attempt_id for outcome in outcomes})})
    }
    fitting = [outcome for outcome in outcomes if before.get(outcome.attempt_id, "") in _SETTLES[outcome.result][0]]
    if not fitting:
        return 0
    session.execute(
        _SETTLE_ATTEMPTS,
        {
            "now": now,
            "ids": [outcome.attempt_id for outcome in fitting],
            "outcomes": [outcome.result for outcome in fitting],
            "statuses": [outcome.http_status for outcome in fitting],
            "codes": [outcome.code for outcome in fitting],
            "subcodes": [outcome.subcode for outcome in fitting],
            "mids": [outcome.mid for outcome in fitting],
        },
    )
    crash_points.reach("settle.middle")
    moving = [outcome for outcome in fitting if _moves(outcome, states[outcome.message_id])]
    _move(session, [outcome for outcome in moving if outcome.result != "sent"], states, now)
    accepted = [
        Accepted(
            message_id=outcome.message_id, attempt_id=outcome.attempt_id, mid=outcome.mid,
            was=states[outcome.message_id],
        )
        for outcome in moving
        if outcome.result == "sent"
    ]  # fmt: skip
    accept(session, accepted, reason=None, actor="deliver", now=now)
    # A refused send counts no longer: what a cap or a gap put off on its account may go sooner.
    wake_contacts(session, sorted(outcome.contact_id for outcome in moving if outcome.result == "refused"), now)
    return len(moving)


def _moves(outcome: Outcome, state: str) -> bool:
    # Acceptance moves a message from wherever it is; everything else only from where its attempt left it.
    return state not in ACCEPTED if outcome.result == "sent" else state in _SETTLES[outcome.result][0]


def _spread(session: Session, outcomes: Sequence[Outcome], now: int) -> None:
    """What answers say about pages and contacts. First of all, for the lock order is page, contact, message.

    Not fenced: that the platform refuses a token or that somebody blocked the page stays true however late we hear it.
    """
    stopped: dict[int, Outcome] = {}
    silent: dict[int, str] = {}
    for outcome in outcomes:
        if outcome.effect == "stop_page":
            stopped.setdefault(outcome.page_id, outcome)
        elif outcome.effect is not None:
            silent[outcome.contact_id] = outcome.effect
    for page_id, outcome in sorted(stopped.items()):
        stop_page(session, page_id, outcome.reason or "refused", now)
    # Those of refusals too, whose other messages are woken afterwards.
    lock_contacts(session, [*silent, *(outcome.contact_id for outcome in outcomes if outcome.result == "refused")])
    for contact_id, effect in sorted(silent.items()):
        if effect == "handover":
            hand_over(session, contact_id, by=PLATFORM, at=now, now=now)
        else:
            suppress(session, contact_id, effect, source="send_error", now=now)


def _move(session: Session, moving: Sequence[Outcome], states: dict[int, str], now: int) -> None:
    if not moving:
        return
    values: dict[str, Any] = {
        "now": now,
        "ids": [outcome.message_id for outcome in moving],
        "states": [_SETTLES[outcome.result][1] for outcome in moving],
        "reasons": [outcome.reason for outcome in moving],
    }
    session.execute(_MOVE, values)
    append_log(
        session,
        [
            LogRow(
                message_id=outcome.message_id, at=now, from_state=states[outcome.message_id],
                to_state=_SETTLES[outcome.result][1], attempt_id=outcome.attempt_id, reason=outcome.reason,
                actor="deliver",
            )
            for outcome in moving
        ],
    )  # fmt: skip
