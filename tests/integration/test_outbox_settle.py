"""What becomes of attempts: answers, echoes, deliveries, reads, and what is left over; in any order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import Session

from scheduler.outbox.begin import begin
from scheduler.outbox.metadata import make_metadata
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.sweep import sweep
from tests.unit.delivery.stage import NOON, Stage
from tests.unit.delivery.told import record_delivery, record_echo, record_read


class Flight:
    """A message whose attempt is on the wire."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.contact = stage.contact()
        self.message = stage.message(self.contact)
        [begun] = begin(stage.session, "promotional", {stage.page: 10}, NOON)
        assert begun.message_id == self.message
        self.attempt = begun.attempt_id
        self.metadata = begun.metadata
        self.psid = begun.psid

    def settle(self, result: str, **values: object) -> int:
        outcome = Outcome(
            message_id=self.message, attempt_id=self.attempt, contact_id=self.contact, page_id=self.stage.page,
            result=result, **values,  # type: ignore[arg-type]  # the fields of an outcome
        )  # fmt: skip
        return settle(self.stage.session, [outcome], NOON + 1)

    def echo(self, mid: str = "m_1") -> bool:
        return record_echo(self.stage.session, self.stage.page, self.metadata, mid, NOON, NOON + 2)

    @property
    def state(self) -> str:
        return self.stage.state(self.message)

    @property
    def outcome(self) -> str:
        return str(self.stage.one("SELECT outcome FROM attempt WHERE id = :id", id=self.attempt))

    @property
    def arrows(self) -> list[tuple[str | None, str]]:
        return self.stage.arrows(self.message)[2:]  # without planned, begun


@pytest.fixture
def flight(stage: Stage) -> Flight:
    return Flight(stage)


def test_an_accepted_message_is_sent_with_its_id(flight: Flight) -> None:
    assert flight.settle("sent", mid="m_1", http_status=200) == 1
    row = flight.stage.row("SELECT state, mid, reason FROM message")
    assert tuple(row) == ("sent", "m_1", None)
    assert tuple(flight.stage.row("SELECT outcome, http_status, mid FROM attempt")) == ("sent", 200, "m_1")
    assert flight.arrows == [("sending", "sent")]


def test_a_refusal_is_final_and_keeps_its_code(flight: Flight) -> None:
    flight.settle("refused", reason="window_closed", http_status=400, code=10, subcode=2018278)
    assert tuple(flight.stage.row("SELECT state, reason FROM message")) == ("refused", "window_closed")
    assert tuple(flight.stage.row("SELECT outcome, code, subcode FROM attempt")) == ("refused", 10, 2018278)


def test_what_a_cap_put_off_goes_when_the_send_it_counted_was_refused(session: Session) -> None:
    flight = Flight(Stage(session, policy="default"))
    capped = flight.stage.message(flight.contact)
    other = flight.stage.message(flight.stage.contact(), state="scheduled", due_at=NOON + 60)
    flight.settle("in_doubt", reason="no_answer")
    assert begin(session, "promotional", {flight.stage.page: 10}, NOON + 2) == []
    found = flight.stage.row("SELECT state, reason FROM message WHERE id = :id", id=capped)
    assert tuple(found) == ("denied", "window_closes_before_cap")
    capped = flight.stage.message(flight.contact, state="scheduled", reason="frequency_cap", due_at=NOON + 3600)
    flight.settle("refused", reason="invalid_request", code=100)
    assert [flight.stage.state(one) for one in (capped, other)] == ["due", "scheduled"]
    [begun] = begin(session, "promotional", {flight.stage.page: 10}, NOON + 3)
    assert begun.message_id == capped


@pytest.mark.parametrize("effect", ["blocked", "unreachable"])
def test_a_person_who_cannot_be_reached_is_suppressed(flight: Flight, effect: str) -> None:
    flight.settle("refused", reason=effect, effect=effect, code=551)
    assert flight.stage.one("SELECT reason FROM suppression WHERE lifted_at IS NULL") == effect
    later = flight.stage.message(flight.contact)
    assert begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON + 2) == []
    assert tuple(flight.stage.row("SELECT state, reason FROM message WHERE id = :id", id=later)) == ("denied", effect)


def test_a_bad_token_stops_the_page_and_the_message_waits_for_it(flight: Flight) -> None:
    flight.settle("not_sent", reason="bad_token", effect="stop_page", code=190)
    assert flight.state == "due"
    assert flight.stage.one("SELECT stopped_reason FROM page") == "bad_token"
    assert begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON + 2) == []
    assert tuple(flight.stage.row("SELECT state, wakes_on FROM message")) == ("scheduled", "page_restored")


def test_what_was_proven_not_sent_goes_again_with_a_new_attempt(flight: Flight) -> None:
    flight.settle("not_sent", reason="throttled", code=4)
    assert flight.state == "due"
    [again] = begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON + 2)
    assert again.attempt_id != flight.attempt
    assert flight.stage.one("SELECT attempts FROM message") == 2


def test_doubt_is_never_sent_again(flight: Flight) -> None:
    flight.settle("in_doubt", reason="no_answer")
    assert flight.state == "in_doubt"
    assert begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON + 2) == []


def test_an_echo_before_the_answer(flight: Flight) -> None:
    assert flight.echo()
    assert (flight.state, flight.outcome) == ("sent", "sent")
    assert flight.settle("sent", mid="m_1") == 0
    assert flight.settle("in_doubt", reason="no_answer") == 0
    assert flight.settle("refused", reason="blocked", code=551) == 0
    assert flight.arrows == [("sending", "sent")]


def test_an_echo_after_the_answer_changes_nothing(flight: Flight) -> None:
    flight.settle("sent", mid="m_1")
    assert not flight.echo()
    assert flight.arrows == [("sending", "sent")]


@pytest.mark.parametrize(("result", "state"), [("refused", "refused"), ("not_sent", "due"), ("in_doubt", "in_doubt")])
def test_an_echo_wins_over_whatever_the_answer_said(flight: Flight, result: str, state: str) -> None:
    flight.settle(result, reason="platform_error")
    assert flight.echo()
    assert (flight.state, flight.outcome) == ("sent", "sent")
    assert flight.arrows == [("sending", state), (state, "sent")]


def test_an_echo_of_an_earlier_attempt_while_a_later_one_flies(flight: Flight) -> None:
    flight.settle("not_sent", reason="throttled")
    [again] = begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON + 2)
    assert flight.echo()
    assert flight.state == "sent"
    outcome = Outcome(
        message_id=flight.message, attempt_id=again.attempt_id, contact_id=flight.contact, page_id=flight.stage.page,
        result="not_sent", reason="throttled",
    )  # fmt: skip
    assert settle(flight.stage.session, [outcome], NOON + 3) == 0
    assert flight.state == "sent"  # and not due a third time
    rows = flight.stage.rows("SELECT outcome FROM attempt ORDER BY id")
    # Each attempt's own truth: the first was accepted, whatever the platform had answered.
    assert [row.outcome for row in rows] == ["sent", "not_sent"]


def test_an_echo_that_is_not_ours_moves_nothing(flight: Flight) -> None:
    stage = flight.stage
    other = stage.add_page()
    for page, metadata in (
        (stage.page, None),
        (stage.page, "order-17"),
        (stage.page, flight.metadata[:-1] + "!"),
        (other, flight.metadata),
        (stage.page, make_metadata(flight.message, flight.attempt + 1)),
        (stage.page, make_metadata(flight.message + 1, flight.attempt)),
    ):
        assert not record_echo(stage.session, page, metadata, "m_9", NOON, NOON)
    assert flight.state == "sending"


def test_doubt_becomes_unconfirmed_and_a_late_echo_still_counts(
    flight: Flight, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_DOUBT_WAIT="60")
    flight.settle("in_doubt", reason="no_answer")
    assert sweep(flight.stage.session, NOON + 30) == {"in_doubt": 0, "unconfirmed": 0}
    assert sweep(flight.stage.session, NOON + 62) == {"in_doubt": 0, "unconfirmed": 1}
    assert (flight.state, flight.outcome) == ("unconfirmed", "unconfirmed")
    assert flight.echo()
    assert (flight.state, flight.outcome) == ("sent", "sent")
    assert flight.arrows == [("sending", "in_doubt"), ("in_doubt", "unconfirmed"), ("unconfirmed", "sent")]


def test_an_orphan_is_in_doubt_and_a_late_answer_still_counts(flight: Flight) -> None:
    assert sweep(flight.stage.session, NOON + 10) == {"in_doubt": 0, "unconfirmed": 0}
    assert sweep(flight.stage.session, NOON + 21) == {"in_doubt": 1, "unconfirmed": 0}
    assert tuple(flight.stage.row("SELECT state, reason, crashes FROM message")) == ("in_doubt", "crashed", 1)
    assert flight.settle("sent", mid="m_1") == 1
    assert flight.state == "sent"


@pytest.mark.parametrize(("result", "state"), [("refused", "refused"), ("not_sent", "due")])
def test_a_late_answer_that_says_no(flight: Flight, result: str, state: str) -> None:
    sweep(flight.stage.session, NOON + 21)
    assert flight.settle(result, reason="blocked") == 1
    assert flight.state == state


def test_after_unconfirmed_only_acceptance_counts(flight: Flight, set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DOUBT_WAIT="1")
    flight.settle("in_doubt", reason="no_answer")
    sweep(flight.stage.session, NOON + 60)
    assert flight.settle("not_sent", reason="throttled") == 0
    assert flight.state == "unconfirmed"
    assert flight.settle("sent", mid="m_1") == 1
    assert flight.state == "sent"


def test_three_crashes_take_a_message_out(flight: Flight) -> None:
    flight.stage.session.connection().exec_driver_sql("UPDATE message SET crashes = 2")
    sweep(flight.stage.session, NOON + 21)
    assert flight.state == "dead"
    assert flight.echo()  # and yet it had arrived
    assert flight.state == "sent"


def test_an_orphan_whose_message_an_echo_moved_on_frees_its_contact(flight: Flight) -> None:
    flight.settle("not_sent", reason="throttled")
    begin(flight.stage.session, "promotional", {flight.stage.page: 10}, NOON)
    flight.echo()
    sweep(flight.stage.session, NOON + 21)
    assert flight.state == "sent"
    assert flight.stage.one("SELECT count(*) FROM attempt WHERE outcome = 'sending'") == 0


def test_delivered_and_read_never_go_backwards(flight: Flight) -> None:
    session, page = flight.stage.session, flight.stage.page
    flight.settle("sent", mid="m_1")
    assert record_delivery(session, page, flight.psid, ["m_1"], None, NOON + 3) == 1
    assert record_read(session, page, flight.psid, (NOON + 5) * 1000, NOON + 5) == 1
    assert record_delivery(session, page, flight.psid, ["m_1"], (NOON + 6) * 1000, NOON + 6) == 0
    assert not flight.echo()
    assert flight.state == "read"
    assert flight.arrows == [("sending", "sent"), ("sent", "delivered"), ("delivered", "read")]


def test_a_watermark_speaks_of_what_was_sent_before_it_to_that_person(flight: Flight) -> None:
    session, page = flight.stage.session, flight.stage.page
    flight.settle("sent", mid="m_1")
    stranger = flight.stage.psid(flight.stage.contact())
    assert record_delivery(session, page, stranger, [], (NOON + 9) * 1000, NOON + 9) == 0
    assert record_delivery(session, page, flight.psid, [], (NOON - 1) * 1000, NOON + 9) == 0
    assert record_delivery(session, page, flight.psid, [], None, NOON + 9) == 0
    assert record_read(session, page, flight.psid, (NOON - 1) * 1000, NOON + 9) == 0
    assert record_read(session, page, flight.psid, (NOON + 9) * 1000, NOON + 9) == 1
    assert flight.state == "read"


@pytest.mark.parametrize("by", ["answer", "echo"])
def test_a_delivery_before_the_acceptance_is_not_lost(flight: Flight, by: str) -> None:
    assert record_delivery(flight.stage.session, flight.stage.page, flight.psid, ["m_1"], None, NOON + 1) == 0
    assert flight.state == "sending"
    if by == "answer":
        flight.settle("sent", mid="m_1")
    else:
        flight.echo("m_1")
    assert flight.state == "delivered"


def test_a_delivery_of_another_message_is_not_ours(flight: Flight) -> None:
    record_delivery(flight.stage.session, flight.stage.page, flight.psid, ["m_other"], None, NOON + 1)
    flight.settle("sent", mid="m_1")
    assert flight.state == "sent"


def test_many_outcomes_are_settled_at_once(stage: Stage) -> None:
    flights = [Flight(stage) for _ in range(4)]
    results = ["sent", "refused", "not_sent", "in_doubt"]
    outcomes = [
        Outcome(
            message_id=one.message, attempt_id=one.attempt, contact_id=one.contact, page_id=stage.page, result=result,
            mid="m_0" if result == "sent" else None,
        )
        for one, result in zip(flights, results, strict=True)
    ]  # fmt: skip
    assert settle(stage.session, outcomes, NOON + 1) == 4
    assert [one.state for one in flights] == ["sent", "refused", "due", "in_doubt"]
    assert settle(stage.session, outcomes, NOON + 2) == 0  # told twice, counted once
    assert settle(stage.session, [], NOON + 2) == 0
