"""What moves waiting messages: the clock, and whatever may permit more."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from scheduler.campaigns import lifecycle
from scheduler.governance.switches import Scope, engage
from scheduler.outbox.beat import last_beats, record_beat
from scheduler.outbox.tick import due_lanes, tick
from scheduler.outbox.wake import (
    cancel_campaign_messages,
    hold_wakes,
    wake_contacts,
    wake_page,
    wake_parked,
)
from scheduler.pages.changes import allow, disallow
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.unit.delivery.stage import HOUR, NOON, Stage


@pytest.fixture
def stage(session: Session) -> Stage:
    return Stage(session)


def _campaign(stage: Stage) -> int:
    return int(
        stage.one(
            """INSERT INTO campaign (page_id, name, template_id, audience, status, plan_cursor, created_at)
               VALUES (:page, 'c', :template, 'everyone', 'running', 0, 0) RETURNING id""",
            page=stage.page,
            template=stage.templates[stage.page, "promotional"],
        )
    )


def test_what_is_due_becomes_due_and_the_rest_waits(stage: Stage) -> None:
    ripe = stage.message(stage.contact(), state="scheduled", due_at=NOON)
    utility = stage.message(stage.contact(), state="scheduled", due_at=NOON - HOUR, category="utility")
    later = stage.message(stage.contact(), state="scheduled", due_at=NOON + 1)
    parked = stage.message(stage.contact(), state="scheduled", due_at=None, wakes_on="handback")
    assert due_lanes(stage.session) == []
    assert tick(stage.session, NOON) == {"promotional": 1, "utility": 1}
    assert [stage.state(one) for one in (ripe, utility, later, parked)] == ["due", "due", "scheduled", "scheduled"]
    assert stage.arrows(ripe) == [(None, "scheduled"), ("scheduled", "due")]
    assert due_lanes(stage.session) == ["utility", "promotional"]
    assert tick(stage.session, NOON) == {}


@pytest.mark.parametrize(
    ("deadline", "expires_at", "expired"),
    [
        (NOON, None, True),
        (NOON + 1, None, False),
        (None, NOON, True),
        (NOON + 1, NOON, True),
        (NOON, NOON + 1, True),
        (None, None, False),
    ],
)
def test_what_is_parked_past_its_time_expires(
    stage: Stage, deadline: int | None, expires_at: int | None, expired: bool
) -> None:
    message = stage.message(
        stage.contact(), state="scheduled", due_at=None, wakes_on="resume", reason="kill_switch", deadline=deadline,
        expires_at=expires_at,
    )  # fmt: skip
    tick(stage.session, NOON)
    assert stage.state(message) == ("expired" if expired else "scheduled")
    assert stage.one("SELECT reason FROM message") == "kill_switch"


def test_waking_a_contact_decides_their_waiting_messages_anew(stage: Stage) -> None:
    contact = stage.contact()
    parked = stage.message(contact, state="scheduled", due_at=None, wakes_on="handback")
    later = stage.message(contact, state="scheduled", due_at=NOON + HOUR)
    denied = stage.message(contact, state="denied")
    other = stage.message(stage.contact(), state="scheduled", due_at=NOON + HOUR)
    assert wake_contacts(stage.session, [contact], NOON) == 2
    assert [stage.state(one) for one in (parked, later, denied, other)] == ["due", "due", "denied", "scheduled"]
    assert stage.one("SELECT wakes_on FROM message WHERE id = :id", id=parked) is None
    assert wake_contacts(stage.session, [], NOON) == 0


def test_waking_a_page_or_a_campaign_leaves_others_alone(stage: Stage) -> None:
    campaign, other = _campaign(stage), stage.add_page()
    mine = stage.message(stage.contact(), state="scheduled", campaign_id=campaign)
    loose = stage.message(stage.contact(), state="scheduled")
    theirs = stage.message(stage.contact(page=other), state="scheduled")
    held = stage.message(stage.contact(), state="scheduled", campaign_id=campaign, due_at=None, wakes_on="resume")
    assert wake_parked(stage.session, NOON, campaign_id=campaign) == 1
    # Nothing but the pause made that one wait; the other waits for its instant.
    assert [stage.state(one) for one in (held, mine)] == ["due", "scheduled"]
    assert [stage.state(one) for one in (loose, theirs)] == ["scheduled", "scheduled"]
    assert wake_page(stage.session, stage.page, NOON) == 2
    assert [stage.state(one) for one in (mine, loose, theirs)] == ["due", "due", "scheduled"]


def test_cancelling_takes_back_what_has_not_left(stage: Stage) -> None:
    campaign = _campaign(stage)
    scheduled = stage.message(stage.contact(), state="scheduled", campaign_id=campaign)
    due = stage.message(stage.contact(), campaign_id=campaign)
    flying = stage.message(stage.contact(), campaign_id=campaign)
    stage.attempt(flying)
    loose = stage.message(stage.contact())
    assert cancel_campaign_messages(stage.session, campaign, "anna", NOON) == 2
    stage.session.expire_all()
    assert [stage.state(one) for one in (scheduled, due, flying, loose)] == ["cancelled", "cancelled", "sending", "due"]
    log = stage.row("SELECT * FROM message_log WHERE message_id = :id AND to_state = 'cancelled'", id=due)
    assert (log.from_state, log.actor) == ("due", "anna")


def test_nobody_wakes_a_page_between_a_decision_and_the_park_that_follows(stage: Stage) -> None:
    stage.commit()
    hold_wakes(stage.session)
    with Session(database.engine()) as other:
        hold_wakes(other)  # deciders do not hinder each other
        other.rollback()
        other.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            wake_page(other, stage.page, NOON)
        other.rollback()


def test_what_forbids_waits_for_those_who_are_deciding(stage: Stage) -> None:
    """Else a batch that read the facts before could begin after the answer that nothing begins any more."""
    campaign, page = _campaign(stage), stage.session.get_one(Page, stage.page)
    allow(stage.session, page, ["24"], actor="test", now=NOON)
    stage.commit()

    def stop_everything(session: Session) -> None:
        engage(session, Scope(), actor="test", why="a wrong price", now=NOON)

    def pause(session: Session) -> None:
        lifecycle.pause(session, campaign, actor="test", now=NOON)

    def shut_out(session: Session) -> None:
        disallow(session, session.get_one(Page, stage.page), ["24"], actor="test", now=NOON)

    for forbid in (stop_everything, pause, shut_out):
        with Session(database.engine()) as other:
            hold_wakes(stage.session)
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                forbid(other)
            other.rollback()
            stage.session.rollback()
            forbid(other)
            other.rollback()


def test_a_beat_is_remembered(stage: Stage) -> None:
    record_beat(stage.session, "tick", NOON)
    record_beat(stage.session, "tick", NOON + 1)
    record_beat(stage.session, "sweep", NOON)
    assert last_beats(stage.session) == {"tick": NOON + 1, "sweep": NOON}
