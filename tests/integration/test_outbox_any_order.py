"""One message, and all that can be told of it, in every order and twice over: the same end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from scheduler.contacts.inbound import record_inbound
from scheduler.outbox.begin import begin
from scheduler.outbox.dead_letters import redrive
from scheduler.outbox.ledger import faults
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.sweep import sweep
from scheduler.outbox.tick import tick
from tests.unit.delivery.stage import NOON, Stage
from tests.unit.delivery.told import record_delivery, record_echo, record_read

#: When each thing is told of, seconds after the attempt began. Only the order of telling is changed.
LATER = 3600


class Told:
    """A message on its way, and everything that may be told of it."""

    def __init__(self, stage: Stage, answer: str) -> None:
        self.stage = stage
        self.answer = answer
        self.message = stage.message(stage.contact(), state="scheduled")
        tick(stage.session, NOON)
        [begun] = begin(stage.session, "promotional", {stage.page: 10}, NOON)
        assert begun.message_id == self.message
        self.begun = begun

    def tell(self, what: str) -> None:
        session, page, psid = self.stage.session, self.stage.page, self.begun.psid
        if what == "answer":
            outcome = Outcome(
                message_id=self.message, attempt_id=self.begun.attempt_id, contact_id=self.begun.contact_id,
                page_id=page, result=self.answer, mid="m_1" if self.answer == "sent" else None,
            )  # fmt: skip
            settle(session, [outcome], NOON + 1)
        elif what == "echo":
            record_echo(session, page, self.begun.metadata, "m_1", NOON + 1, NOON + 2)
        elif what == "delivery":
            record_delivery(session, page, psid, ["m_1"], (NOON + 2) * 1000, NOON + 3)
        elif what == "watermark":
            record_delivery(session, page, psid, [], (NOON + 2) * 1000, NOON + 3)
        elif what == "read":
            record_read(session, page, psid, (NOON + 5) * 1000, NOON + 5)
        else:
            sweep(session, NOON + LATER)

    @property
    def end(self) -> tuple[object, ...]:
        message = self.stage.row("SELECT state, mid, reason, wakes_on FROM message WHERE id = :id", id=self.message)
        attempt = self.stage.row("SELECT outcome, mid FROM attempt WHERE id = :id", id=self.begun.attempt_id)
        return (*message, *attempt)


def _play(told: Told, order: tuple[str, ...], *, twice: bool) -> tuple[object, ...]:
    """Tell it in that order, look where it ends, and take it all back."""
    session = told.stage.session
    with session.begin_nested() as savepoint:
        for what in order:
            told.tell(what)
            if twice:
                told.tell(what)
        if twice:
            for what in order:
                told.tell(what)
        end = told.end
        wrong = faults(session) if twice else []
        savepoint.rollback()
    assert wrong == [], (order, wrong)
    return end


@pytest.mark.parametrize(
    ("answer", "delivery"),
    [
        ("sent", "delivery"), ("in_doubt", "delivery"), ("refused", "delivery"), ("not_sent", "delivery"),
        ("in_doubt", "watermark"),
    ],
)  # fmt: skip
@pytest.mark.timeout(240)
def test_whatever_the_order_the_end_is_the_same(
    stage: Stage, set_environment: Callable[..., None], answer: str, delivery: str
) -> None:
    set_environment(DULY_DOUBT_WAIT="1")
    told = Told(stage, answer)
    orders = list(permutations(("answer", "echo", delivery, "read", "sweep")))
    ends = {order: _play(told, order, twice=False) for order in orders}
    # Whatever the answer said: the platform has it, and the person has read it.
    assert set(ends.values()) == {("read", "m_1", None, None, "sent", "m_1")}, ends
    # Each of them twice in a row, and all of it once more; seven is no divisor of their number.
    again = {order: _play(told, order, twice=True) for order in orders[::7]}
    assert set(again.values()) == {("read", "m_1", None, None, "sent", "m_1")}, again


@pytest.mark.parametrize("missing", ["echo", "answer"])
def test_one_proof_of_acceptance_is_enough_in_any_order(
    stage: Stage, set_environment: Callable[..., None], missing: str
) -> None:
    set_environment(DULY_DOUBT_WAIT="1")
    told = Told(stage, "sent")
    rest = [what for what in ("answer", "echo", "delivery", "read", "sweep") if what != missing]
    ends = {order: _play(told, order, twice=False) for order in permutations(rest)}
    assert set(ends.values()) == {("read", "m_1", None, None, "sent", "m_1")}, ends


def test_without_proof_a_delivery_or_a_read_claims_nothing(stage: Stage, set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DOUBT_WAIT="1")
    told = Told(stage, "in_doubt")
    for what in ("delivery", "read", "answer", "sweep"):
        told.tell(what)
    assert told.end[0] == "unconfirmed"
    # What other apps of the page send to the person is noted once at most, and moves nothing.
    for _ in range(3):
        told.tell("read")
        told.tell("delivery")
    notes = stage.one(
        "SELECT count(*) FROM message_log WHERE message_id = :id AND from_state = to_state", id=told.message
    )
    assert notes == 2
    assert faults(stage.session) == []


def test_a_read_before_the_attempt_began_does_not_count(stage: Stage) -> None:
    told = Told(stage, "sent")
    record_read(stage.session, stage.page, told.begun.psid, (NOON - 5) * 1000, NOON + 1)
    told.tell("answer")
    assert told.end[0] == "sent"


def _unconfirmed(stage: Stage) -> Told:
    told = Told(stage, "in_doubt")
    told.tell("answer")
    sweep(stage.session, NOON + LATER)
    assert told.end[0] == "unconfirmed"
    return told


def _again(told: Told, now: int) -> int:
    done = redrive(
        told.stage.session, [told.message], why="they asked for it", actor="ann", now=now, may_arrive_twice=True
    )
    return done.resent[told.message]


def test_evidence_that_it_had_arrived_cancels_its_resend(stage: Stage) -> None:
    told = _unconfirmed(stage)
    again = _again(told, NOON + LATER)
    told.tell("echo")
    assert told.end[0] == "sent"
    row = stage.row("SELECT state, reason, resend_of FROM message WHERE id = :id", id=again)
    assert tuple(row) == ("cancelled", "arrived_before", told.message)
    assert faults(stage.session) == []


@pytest.mark.parametrize("pause", [None, 30])
def test_a_resend_that_comes_back_unsent_is_cancelled_when_the_first_arrived_meanwhile(
    stage: Stage, pause: int | None
) -> None:
    told = _unconfirmed(stage)
    again = _again(told, NOON + LATER)
    tick(stage.session, NOON + LATER)
    [begun] = begin(stage.session, "promotional", {stage.page: 10}, NOON + LATER)
    assert begun.message_id == again
    told.tell("echo")
    assert stage.state(again) == "sending"  # what is on the wire stays there
    outcome = Outcome(
        message_id=again, attempt_id=begun.attempt_id, contact_id=begun.contact_id, page_id=stage.page,
        result="not_sent", reason="throttled", pause=pause,
    )  # fmt: skip
    settle(stage.session, [outcome], NOON + LATER + 1)
    assert stage.state(again) == "cancelled"
    assert faults(stage.session) == []


def test_a_resend_that_breaks_off_the_third_time_is_dead(stage: Stage) -> None:
    message = stage.message(stage.contact(), state="scheduled")
    now = NOON
    for crash in (1, 2, 3):
        tick(stage.session, now)
        [begun] = begin(stage.session, "promotional", {stage.page: 10}, now)
        assert begun.message_id == message
        sweep(stage.session, now + 60)
        assert stage.row("SELECT state, crashes FROM message WHERE id = :id", id=message) == (
            "dead" if crash == 3 else "in_doubt", crash,
        )  # fmt: skip
        if crash == 3:
            break
        now += LATER
        sweep(stage.session, now)
        done = redrive(stage.session, [message], why="again", actor="ann", now=now, may_arrive_twice=True)
        message = done.resent[message]
    # Its attempt is in doubt for as long as any other, and evidence still counts.
    sweep(stage.session, now + LATER)
    assert stage.one("SELECT outcome FROM attempt WHERE message_id = :id", id=message) == "unconfirmed"
    assert stage.state(message) == "dead"
    assert record_echo(stage.session, stage.page, begun.metadata, "m_9", now, now + LATER)
    assert stage.state(message) == "sent"
    assert faults(stage.session) == []


def test_a_hung_worker_that_gives_back_three_times_leaves_it_dead(stage: Stage) -> None:
    message = stage.message(stage.contact(), state="scheduled")
    now = NOON
    tick(stage.session, now)
    for crash in (1, 2, 3):
        [begun] = begin(stage.session, "promotional", {stage.page: 10}, now)
        sweep(stage.session, now + 60)
        late = Outcome(
            message_id=message, attempt_id=begun.attempt_id, contact_id=begun.contact_id, page_id=stage.page,
            result="not_sent", reason="decision_too_old",
        )  # fmt: skip
        settle(stage.session, [late], now + 61)
        assert stage.state(message) == ("dead" if crash == 3 else "due")
        now += 120
    assert stage.one("SELECT count(*) FROM attempt WHERE outcome = 'not_sent'") == 3
    assert faults(stage.session) == []


@pytest.mark.parametrize("wrote", [False, True])
def test_a_window_that_the_platform_calls_closed_waits_for_the_person(stage: Stage, wrote: bool) -> None:
    told = Told(stage, "not_sent")
    if wrote:  # between the request and its answer
        record_inbound(stage.session, told.begun.contact_id, NOON + 1, NOON + 1)
    outcome = Outcome(
        message_id=told.message, attempt_id=told.begun.attempt_id, contact_id=told.begun.contact_id,
        page_id=stage.page, result="not_sent", reason="window_closed", effect="window_closed", code=10,
    )  # fmt: skip
    settle(stage.session, [outcome], NOON + 2)
    row = stage.row("SELECT state, wakes_on, due_at, reason FROM message WHERE id = :id", id=told.message)
    if wrote:
        assert (row.state, row.wakes_on) == ("due", None)
    else:
        assert tuple(row) == ("scheduled", "inbound", None, "window_closed")
        record_inbound(stage.session, told.begun.contact_id, NOON + 60, NOON + 60)
    assert stage.state(told.message) == "due"
    [begun] = begin(stage.session, "promotional", {stage.page: 10}, NOON + 61)
    assert begun.message_id == told.message
    assert faults(stage.session) == []


def test_a_closed_window_ends_with_the_time_of_its_message(stage: Stage) -> None:
    told = Told(stage, "not_sent")
    outcome = Outcome(
        message_id=told.message, attempt_id=told.begun.attempt_id, contact_id=told.begun.contact_id,
        page_id=stage.page, result="not_sent", reason="window_closed", effect="window_closed",
    )  # fmt: skip
    settle(stage.session, [outcome], NOON + 2)
    tick(stage.session, NOON + 48 * 3600)
    row = stage.row("SELECT state, reason FROM message WHERE id = :id", id=told.message)
    assert tuple(row) == ("expired", "window_closed")
    assert faults(stage.session) == []
