"""What is due on a page that nobody can send for still expires when its time runs out."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.choices import record_opt_out
from scheduler.outbox.overdue import decide_overdue
from tests.unit.delivery.stage import HOUR, NOON, Stage
from workers import tasks
from workers.directory import Directory


def test_what_ran_out_of_time_expires_with_the_decision_behind_it(stage: Stage) -> None:
    message = stage.message(stage.contact(inbound=NOON - 25 * HOUR), deadline=NOON - HOUR)
    assert decide_overdue(stage.session, NOON) == 1
    assert tuple(stage.row("SELECT state, reason, attempts FROM message")) == ("expired", "window_closed", 0)
    log = stage.row("SELECT * FROM message_log WHERE message_id = :id AND to_state = 'expired'", id=message)
    assert (log.from_state, log.actor, log.verdict) == ("due", "sweep", "deny")
    assert decide_overdue(stage.session, NOON) == 0


def test_what_begin_may_still_come_to_is_left_to_it(stage: Stage) -> None:
    stage.message(stage.contact(inbound=NOON - 24 * HOUR - 2), deadline=NOON - 2)
    stage.message(stage.contact())
    assert decide_overdue(stage.session, NOON) == 0
    assert stage.states() == {"due": 2}


def test_somebody_who_wrote_since_has_a_new_deadline(stage: Stage) -> None:
    message = stage.message(stage.contact(inbound=NOON - HOUR), deadline=NOON - HOUR)
    assert decide_overdue(stage.session, NOON) == 1
    assert tuple(stage.row("SELECT state, deadline FROM message")) == ("due", NOON + 23 * HOUR)
    assert stage.arrows(message) == [(None, "due")]
    assert stage.rows("SELECT 1 FROM attempt") == []
    assert decide_overdue(stage.session, NOON) == 0


def test_an_opt_out_is_a_denial_even_then(stage: Stage) -> None:
    contact = stage.contact(inbound=NOON - 25 * HOUR)
    stage.message(contact, deadline=NOON - HOUR)
    record_opt_out(stage.session, contact, source="api", at=NOON, now=NOON)
    assert decide_overdue(stage.session, NOON) == 1
    assert tuple(stage.row("SELECT state, reason FROM message")) == ("denied", "opted_out")


def test_the_sweep_ends_what_waits_for_a_token_that_cannot_be_unsealed(session: Session, redis_url: str) -> None:
    del redis_url  # its setting comes first
    now = clock.now()
    stage = Stage(session, now=now)
    message = stage.message(stage.contact(inbound=now - 25 * HOUR), deadline=now - HOUR)
    waiting = stage.message(stage.contact())
    session.execute(text("UPDATE page SET token_sealed = 'lost'"))
    stage.commit()
    directory = Directory()
    directory.refresh(session)
    assert not directory.knows(stage.page)
    session.rollback()
    assert tasks.sweep()["overdue"] == 1
    assert (stage.state(message), stage.state(waiting)) == ("expired", "due")


def test_an_app_whose_secret_is_lost_stops_its_own_pages_alone(stage: Stage) -> None:
    lost = stage.one(
        "INSERT INTO app (external_id, secret_sealed, verify_token_sealed, created_at) "
        "VALUES ('78', 'lost', 'lost', 0) RETURNING id"
    )
    other = stage.add_page()
    stage.session.execute(text("UPDATE page SET app_id = :app WHERE id = :id"), {"app": lost, "id": stage.page})
    stage.session.expire_all()
    directory = Directory()
    directory.refresh(stage.session)
    assert [directory.knows(page) for page in (stage.page, other)] == [False, True]
