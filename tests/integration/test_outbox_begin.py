"""Begin: locks, decides anew, and writes the attempt before anything happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.clock import guard_seconds
from scheduler.consent.choices import record_opt_out
from scheduler.governance.switches import Scope, engage, release
from scheduler.outbox.begin import BATCH, Begun, begin
from scheduler.outbox.metadata import read_metadata
from scheduler.outbox.priorities import REQUESTED, SERVICE
from scheduler.outbox.tick import tick
from scheduler.pages.stops import restore_page, stop_page
from scheduler.store import database
from tests.patience import patience
from tests.unit.delivery.stage import HOUR, NOON, Stage


def _begin(stage: Stage, lane: str = "promotional", quota: int = 10, *, now: int = NOON) -> list[Begun]:
    return begin(stage.session, lane, dict.fromkeys(stage.pages, quota), now)


def test_what_may_go_is_written_as_sending_with_its_attempt_before_it_goes(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    [begun] = _begin(stage)
    assert (begun.message_id, begun.contact_id, begun.psid) == (message, contact, stage.psid(contact))
    assert read_metadata(begun.metadata) == (message, begun.attempt_id)
    assert begun.content.text == "Hello you"
    assert stage.state(message) == "sending"
    attempt = stage.row("SELECT * FROM attempt")
    assert (attempt.id, attempt.outcome, attempt.begun_at) == (begun.attempt_id, "sending", NOON)
    log = stage.row("SELECT * FROM message_log WHERE to_state = 'sending'")
    assert (log.attempt_id, log.verdict, log.ground, log.actor) == (
        begun.attempt_id,
        "send",
        "standard_window",
        "deliver",
    )
    assert log.facts["last_inbound"] == NOON - HOUR
    assert log.policy_version
    assert log.tzdata
    assert log.holidays
    assert log.guard == guard_seconds() > 0


def test_two_due_messages_of_one_contact_are_not_in_one_batch(stage: Stage) -> None:
    contact = stage.contact()
    later = stage.message(contact, deadline=NOON + 9 * HOUR)
    sooner = stage.message(contact, deadline=NOON + 5 * HOUR)
    assert [begun.message_id for begun in _begin(stage)] == [sooner]
    assert _begin(stage) == []  # the first is in flight
    assert stage.state(later) == "due"


def test_a_contact_with_an_attempt_in_flight_is_passed_over_in_the_other_lane_too(stage: Stage) -> None:
    contact = stage.contact()
    stage.message(contact)
    utility = stage.message(contact, category="utility")
    assert len(_begin(stage)) == 1
    assert _begin(stage, "utility") == []
    assert stage.state(utility) == "due"


def test_the_earliest_deadline_goes_first_within_quota_and_batch(stage: Stage) -> None:
    other = stage.add_page()
    made = {
        page: [stage.message(stage.contact(page=page), deadline=NOON + (40 - n) * HOUR // 2) for n in range(14)]
        for page in (stage.page, other)
    }
    begun = begin(stage.session, "promotional", {stage.page: 3, other: 99}, NOON)
    by_page = {page: [one.message_id for one in begun if one.page_id == page] for page in made}
    assert sorted(by_page[stage.page]) == sorted(made[stage.page][-3:])
    assert sorted(by_page[other]) == sorted(made[other][-10:])
    assert BATCH == 128


def test_a_limit_below_the_quotas_is_kept(stage: Stage) -> None:
    stage.messages(6)
    assert len(begin(stage.session, "promotional", {stage.page: 10}, NOON, limit=4)) == 4
    assert begin(stage.session, "promotional", {}, NOON) == []
    assert begin(stage.session, "promotional", {stage.page: 0}, NOON) == []


def test_a_closed_window_denies_and_names_the_reason(stage: Stage) -> None:
    message = stage.message(stage.contact(inbound=NOON - 30 * HOUR), deadline=None)
    assert _begin(stage) == []
    row = stage.row("SELECT * FROM message WHERE id = :id", id=message)
    assert (row.state, row.reason, row.attempts) == ("denied", "window_closed", 0)
    assert stage.rows("SELECT 1 FROM attempt") == []
    assert stage.arrows(message)[-1] == ("due", "denied")


def test_what_was_permitted_once_and_ran_out_of_time_is_expired(stage: Stage) -> None:
    message = stage.message(stage.contact(inbound=NOON - 25 * HOUR), deadline=NOON - HOUR)
    _begin(stage)
    assert stage.state(message) == "expired"


def test_the_guard_counts_as_run_out(stage: Stage, set_environment: Callable[..., None]) -> None:
    set_environment(DULY_SEND_GUARD="2")
    message = stage.message(stage.contact(inbound=NOON - 24 * HOUR + 1), deadline=NOON + 1)
    assert _begin(stage) == []
    assert stage.state(message) == "expired"


def test_an_opt_out_is_a_denial_even_after_the_deadline(stage: Stage) -> None:
    contact = stage.contact(inbound=NOON - 25 * HOUR)
    message = stage.message(contact, deadline=NOON - HOUR)
    record_opt_out(stage.session, contact, source="api", at=NOON, now=NOON)
    _begin(stage)
    assert tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=message)) == ("denied", "opted_out")


def test_quiet_hours_put_it_back_to_the_next_permitted_instant(session: Session) -> None:
    stage = Stage(session, policy="default")
    # 21:30 in Tokyo; the window stays open until 20:00 the next day there.
    message = stage.message(stage.contact(inbound=NOON - HOUR, zone="Asia/Tokyo"))
    night = NOON + HOUR // 2
    assert _begin(stage, now=night) == []
    row = stage.row("SELECT * FROM message WHERE id = :id", id=message)
    assert (row.state, row.due_at, row.reason) == ("scheduled", NOON + 11 * HOUR, "quiet_hours")
    log = stage.row("SELECT * FROM message_log WHERE from_state = 'due'")
    assert (log.verdict, log.until, log.because) == ("defer", NOON + 11 * HOUR, ["quiet_hours"])


def test_a_stopped_page_parks_and_restoring_it_wakes(stage: Stage) -> None:
    message = stage.message(stage.contact())
    stop_page(stage.session, stage.page, "bad_token", NOON)
    _begin(stage)
    row = stage.row("SELECT * FROM message WHERE id = :id", id=message)
    assert (row.state, row.due_at, row.wakes_on, row.reason) == ("scheduled", None, "page_restored", "page_stopped")
    restore_page(stage.session, stage.page, now=NOON)
    assert stage.state(message) == "due"
    assert len(_begin(stage)) == 1


def test_the_kill_switch_parks_and_its_release_wakes(stage: Stage) -> None:
    message = stage.message(stage.contact())
    switch = engage(stage.session, Scope(), actor="test", why="test", now=NOON)
    assert _begin(stage) == []
    assert stage.row("SELECT state, wakes_on FROM message WHERE id = :id", id=message) == ("scheduled", "resume")
    assert switch.id is not None
    release(stage.session, switch.id, actor="test", now=NOON)
    assert stage.state(message) == "due"


def test_a_page_without_a_policy_sends_nothing(stage: Stage) -> None:
    message = stage.message(stage.contact())
    stage.session.execute(text("DELETE FROM policy_activation"))
    assert _begin(stage) == []
    assert tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=message)) == ("denied", "rule_error")


def test_content_that_cannot_be_rendered_is_refused_and_takes_nobody_with_it(stage: Stage) -> None:
    good = stage.message(stage.contact())
    bad = stage.message(stage.contact())
    broken = stage.one(
        """INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_approved, created_at)
           VALUES (:page, 'broken', 1, 'promotional', 'en', '{"en": {"text": "{% if %}"}}', false, 0) RETURNING id""",
        page=stage.page,
    )
    stage.session.execute(text("UPDATE message SET template_id = :t WHERE id = :id"), {"t": broken, "id": bad})
    assert [begun.message_id for begun in _begin(stage)] == [good]
    assert tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=bad)) == ("refused", "render_error")
    assert stage.arrows(bad)[-1] == ("due", "refused")


def test_losing_the_way_into_sending_is_no_error(stage: Stage) -> None:
    message = stage.message(stage.contact())
    # An attempt whose fate is not known still stands, though somebody put its message back to due by hand.
    stage.attempt(message, outcome="unconfirmed")
    stage.put(message, "due")
    assert _begin(stage) == []
    assert stage.state(message) == "due"
    assert stage.one("SELECT count(*) FROM attempt") == 1


def test_begins_at_the_same_moment_take_different_messages(stage: Stage) -> None:
    stage.messages(8)
    stage.commit()
    with Session(database.engine()) as other:
        first = begin(other, "promotional", {stage.page: 4}, NOON)
        second = _begin(stage, quota=4)
    assert len(first) == len(second) == 4
    assert {one.message_id for one in first}.isdisjoint(one.message_id for one in second)


def test_a_contact_that_somebody_holds_is_passed_over_without_waiting(stage: Stage) -> None:
    held, free = stage.contact(), stage.contact()
    stage.message(held)
    message = stage.message(free)
    stage.commit()
    with Session(database.engine()) as other:
        other.execute(text("SELECT 1 FROM contact WHERE id = :id FOR NO KEY UPDATE"), {"id": held})
        assert [begun.message_id for begun in _begin(stage)] == [message]


def test_an_opt_out_that_commits_while_begin_waits_is_seen(
    stage: Stage, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin holds its candidates already when the opt-out commits; what it reads after the lock must show it."""
    from scheduler.outbox import candidates

    contact = stage.contact()
    message = stage.message(contact)
    stage.commit()
    # The usual lock passes a held row over; this one waits for it, which is the worst case for what is read.
    monkeypatch.setattr(
        candidates, "_LOCK_CONTACTS", "SELECT id FROM contact WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"
    )
    result: list[Any] = []

    def waiting() -> bool:
        stage.commit()  # what a backend does is a snapshot for as long as the transaction lasts
        return bool(
            stage.one(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )

    def run() -> None:
        with database.session() as session:
            result.append(begin(session, "promotional", {stage.page: 10}, NOON))

    with Session(database.engine()) as other:
        record_opt_out(other, contact, source="message", at=NOON, now=NOON)
        thread = threading.Thread(target=run)
        thread.start()
        eventually(waiting, what="begin waiting for the contact's row")
        other.commit()
    thread.join(patience(10))
    stage.commit()
    assert result == [[]]
    assert tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=message)) == ("denied", "opted_out")


def test_of_one_persons_due_messages_the_higher_priority_goes_first_whatever_their_deadlines(stage: Stage) -> None:
    contact = stage.contact()
    newsletter = stage.message(contact, deadline=NOON + HOUR, priority=5)
    wished_for = stage.message(contact, deadline=NOON + 9 * HOUR, priority=REQUESTED)
    order = stage.message(contact, category="utility", deadline=NOON + 2 * HOUR, priority=SERVICE)
    # Whichever lane is served, a person's turn is their most urgent message's.
    assert [begun.message_id for begun in _begin(stage, "utility")] == [wished_for]
    assert _begin(stage) == []  # it is on the wire
    stage.arrived(wished_for)
    assert [begun.message_id for begun in _begin(stage)] == [order]
    stage.arrived(order)
    assert [begun.message_id for begun in _begin(stage)] == [newsletter]


def test_a_cap_is_used_by_what_was_asked_for_and_the_newsletter_waits(session: Session) -> None:
    stage = Stage(session, policy="default")
    contact = stage.contact(inbound=NOON - HOUR)
    newsletter = stage.message(contact, deadline=NOON + HOUR)
    wished_for = stage.message(contact, deadline=NOON + 9 * HOUR, priority=REQUESTED)
    assert [begun.message_id for begun in _begin(stage)] == [wished_for]
    stage.arrived(wished_for)
    assert _begin(stage) == []
    assert tuple(stage.row("SELECT state, reason FROM message WHERE id = :id", id=newsletter)) == (
        "denied", "window_closes_before_cap",
    )  # fmt: skip


def test_what_was_begun_before_counts_and_is_not_undone(session: Session) -> None:
    stage = Stage(session, policy="default")
    contact = stage.contact(inbound=NOON - HOUR)
    newsletter = stage.message(contact)
    assert [begun.message_id for begun in _begin(stage)] == [newsletter]
    wished_for = stage.message(contact, priority=REQUESTED)
    stage.arrived(newsletter)
    assert _begin(stage) == []
    assert (stage.state(newsletter), stage.state(wished_for)) == ("sent", "denied")


def test_a_lower_one_waits_for_a_higher_one_whose_time_has_come_before_the_tick(stage: Stage) -> None:
    contact, other = stage.contact(), stage.contact()
    lower = stage.message(contact)
    higher = stage.message(contact, state="scheduled", due_at=NOON, priority=REQUESTED)
    stage.message(other, state="scheduled", due_at=NOON + 1, priority=REQUESTED)
    others = stage.message(other)
    assert [begun.message_id for begun in _begin(stage)] == [others]
    tick(stage.session, NOON)
    assert [begun.message_id for begun in _begin(stage)] == [higher]
    assert stage.state(lower) == "due"


def test_of_equals_the_earliest_deadline_goes_first_and_none_waits_for_a_tick(stage: Stage) -> None:
    contact = stage.contact()
    later = stage.message(contact, deadline=NOON + 9 * HOUR)
    sooner = stage.message(contact, deadline=NOON + 5 * HOUR)
    stage.message(contact, deadline=NOON + HOUR, state="scheduled", due_at=NOON)
    assert [begun.message_id for begun in _begin(stage)] == [sooner]
    assert stage.state(later) == "due"


def test_priority_is_among_one_persons_messages_and_no_lane_starves(stage: Stage) -> None:
    # Of different people the earliest deadline goes first, whatever the priority.
    urgent = stage.message(stage.contact(), deadline=NOON + HOUR)
    wished = [stage.message(stage.contact(), deadline=NOON + 9 * HOUR, priority=REQUESTED) for _ in range(3)]
    assert [begun.message_id for begun in _begin(stage, quota=1)] == [urgent]
    assert {begun.message_id for begun in _begin(stage)} == set(wished)
