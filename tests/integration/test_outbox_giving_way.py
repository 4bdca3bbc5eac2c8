"""Who waits behind whom: what ends unsent lets the next go, what was woken early gives way to what is more urgent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from policies.policy import parse_policy
from scheduler.campaigns import lifecycle
from scheduler.contacts.inbound import record_inbound
from scheduler.governance.policies import activate_policy
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.priorities import REQUESTED
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.sweep import sweep
from scheduler.outbox.tick import tick
from scheduler.outbox.wake import wake_page
from tests.unit.delivery.stage import HOUR, NOON, Stage

ONE_A_DAY = '[policy]\nname = "one a day"\n[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "24h"\n'
#: It was put behind something else of the same person.
BEHIND = {"state": "scheduled", "reason": "frequency_cap", "due_at": NOON + 3 * HOUR}
#: It is to go in three hours, and was asked for.
ASKED = {"state": "scheduled", "not_before": NOON + 3 * HOUR, "due_at": NOON + 3 * HOUR, "priority": REQUESTED}


@pytest.fixture
def stage(session: Session) -> Stage:
    made = Stage(session)
    activate_policy(session, made.page, parse_policy(ONE_A_DAY, where="t"), actor="test", why="test", now=NOON)
    return made


def _begin(stage: Stage, now: int = NOON) -> list[Begun]:
    return begin(stage.session, "promotional", {stage.page: 10}, now)


def _campaign(stage: Stage, status: str = "running") -> int:
    return int(
        stage.one(
            """INSERT INTO campaign (page_id, name, template_id, audience, status, plan_cursor, created_at)
               VALUES (:page, 'c', :template, 'everyone', :status, 0, 0) RETURNING id""",
            page=stage.page, template=stage.templates[stage.page, "promotional"], status=status,
        )
    )  # fmt: skip


def _outcome(stage: Stage, message: int, attempt: int, result: str, **more: Any) -> Outcome:
    contact = stage.one("SELECT contact_id FROM message WHERE id = :id", id=message)
    return Outcome(
        message_id=message, attempt_id=attempt, contact_id=contact, page_id=stage.page, result=result, **more
    )


def test_what_expires_while_it_is_parked_lets_those_behind_it_go(stage: Stage) -> None:
    people = [stage.contact() for _ in range(3)]
    over = [stage.message(one, state="scheduled", due_at=None, wakes_on="resume", deadline=NOON) for one in people[:2]]
    behind = [stage.message(one, **BEHIND) for one in people]
    quiet = stage.message(people[0], state="scheduled", reason="quiet_hours", due_at=NOON + HOUR)
    tick(stage.session, NOON)
    assert [stage.state(one) for one in over] == ["expired"] * 2
    assert [stage.state(one) for one in behind] == ["due", "due", "scheduled"]
    assert stage.state(quiet) == "scheduled"
    assert faults(stage.session) == []


def test_what_is_parked_by_its_decision_lets_those_behind_it_go(stage: Stage) -> None:
    contact = stage.contact()
    held = stage.message(contact, campaign_id=_campaign(stage, "paused"), priority=REQUESTED)
    behind = stage.message(contact, **BEHIND)
    assert _begin(stage) == []
    assert (stage.state(held), stage.state(behind)) == ("scheduled", "due")
    # By this the page is seen to get on.
    assert (
        stage.one("SELECT page_id FROM message_log WHERE message_id = :id ORDER BY id DESC LIMIT 1", id=held)
        == stage.page
    )
    assert [each.message_id for each in _begin(stage)] == [behind]


def test_what_the_platform_calls_closed_lets_those_behind_it_go(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    attempt = stage.attempt(message, begun_at=NOON)
    behind = stage.message(contact, **BEHIND)
    settle(stage.session, [_outcome(stage, message, attempt, "not_sent", effect="window_closed")], NOON + 1)
    assert (stage.state(message), stage.state(behind)) == ("scheduled", "due")


def test_what_is_tried_again_lets_nobody_go_before_it(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    attempt = stage.attempt(message, begun_at=NOON)
    behind = stage.message(contact, **BEHIND)
    settle(stage.session, [_outcome(stage, message, attempt, "not_sent", pause=60)], NOON + 1)
    assert (stage.state(message), stage.state(behind)) == ("scheduled", "scheduled")


@pytest.mark.parametrize("result", ["refused", "not_sent"])
def test_a_late_no_to_a_dead_message_lets_those_behind_it_go(stage: Stage, result: str) -> None:
    contact = stage.contact()
    message = stage.message(contact, crashes=2)
    attempt = stage.attempt(message, begun_at=NOON - HOUR)
    behind = stage.message(contact, **BEHIND)
    assert sweep(stage.session, NOON)["in_doubt"] == 1
    # It may have arrived, so it counts.
    assert (stage.state(message), stage.state(behind)) == ("dead", "scheduled")
    settle(stage.session, [_outcome(stage, message, attempt, result)], NOON + 1)
    assert (stage.state(message), stage.state(behind)) == ("dead", "due")


def test_a_resend_that_is_not_needed_lets_those_behind_it_go(stage: Stage) -> None:
    contact = stage.contact()
    first = stage.message(contact)
    attempt = stage.attempt(first, outcome="unconfirmed", begun_at=NOON - 30 * HOUR)
    again = stage.message(contact, state="scheduled", due_at=NOON + HOUR, resend_of=first)
    behind = stage.message(contact, **BEHIND)
    settle(stage.session, [_outcome(stage, first, attempt, "sent", mid="m")], NOON)
    assert [stage.state(one) for one in (first, again, behind)] == ["sent", "cancelled", "due"]


def _inbound(stage: Stage, contact: int, campaign: int) -> None:
    record_inbound(stage.session, contact, NOON, NOON)


def _page(stage: Stage, contact: int, campaign: int) -> None:
    wake_page(stage.session, stage.page, NOON)


def _resume(stage: Stage, contact: int, campaign: int) -> None:
    lifecycle.resume(stage.session, campaign, actor="test", now=NOON)


@pytest.mark.parametrize(("wake", "wakes_on"), [(_inbound, "inbound"), (_page, "handback"), (_resume, "resume")])
def test_whoever_is_woken_early_leaves_the_cap_to_what_was_asked_for(
    stage: Stage, wake: Callable[[Stage, int, int], None], wakes_on: str
) -> None:
    contact, other = stage.contact(inbound=NOON - 20 * HOUR), stage.contact(inbound=NOON - HOUR)
    campaign = _campaign(stage, "paused" if wakes_on == "resume" else "running")
    parked = {"state": "scheduled", "due_at": None, "wakes_on": wakes_on, "campaign_id": campaign}
    asked = stage.message(contact, **ASKED)
    newsletter = stage.message(contact, **parked, may_wait=True, expires_at=NOON + 60 * HOUR)
    free = stage.message(other, **parked, may_wait=True, expires_at=NOON + 60 * HOUR)
    wake(stage, contact, campaign)
    if wakes_on == "inbound":
        record_inbound(stage.session, other, NOON, NOON)
    begun = []
    for _ in range(3):
        begun += _begin(stage)
    # Whoever has nothing more urgent to come is not held up.
    assert [each.message_id for each in begun] == [free]
    assert (stage.state(asked), stage.state(newsletter)) == ("scheduled", "scheduled")
    waits = stage.row("SELECT due_at, reason, wakes_on FROM message WHERE id = :id", id=newsletter)
    assert tuple(waits) == (NOON + 3 * HOUR + 1, "frequency_cap", None)
    log = stage.row("SELECT * FROM message_log WHERE message_id = :id ORDER BY id DESC LIMIT 1", id=newsletter)
    assert (log.actor, log.verdict, log.because) == ("wake", "defer", ["frequency_cap"])
    later = NOON + 3 * HOUR
    tick(stage.session, later)
    [sent] = _begin(stage, later)
    assert sent.message_id == asked
    assert faults(stage.session) == []


def test_whoever_was_woken_goes_when_what_was_asked_for_does_not(stage: Stage) -> None:
    contact = stage.contact(inbound=NOON - HOUR)
    campaign = _campaign(stage)
    asked = stage.message(contact, **ASKED, campaign_id=campaign)
    newsletter = stage.message(contact)
    assert _begin(stage) == []
    assert stage.state(newsletter) == "scheduled"
    lifecycle.cancel(stage.session, campaign, actor="test", now=NOON + 60)
    assert (stage.state(asked), stage.state(newsletter)) == ("cancelled", "due")
    [begun] = _begin(stage, NOON + 60)
    assert begun.message_id == newsletter
    log = stage.row("SELECT facts FROM message_log WHERE message_id = :id AND to_state = 'sending'", id=newsletter)
    assert not log.facts.get("planned")


def test_what_shares_no_cap_with_it_goes_at_once(stage: Stage) -> None:
    policy = ONE_A_DAY + 'applies_to = ["promotional"]\n'
    activate_policy(stage.session, stage.page, parse_policy(policy, where="t"), actor="test", why="test", now=NOON)
    contact = stage.contact()
    stage.message(contact, **ASKED)
    service = stage.message(contact, category="utility")
    assert [each.message_id for each in begin(stage.session, "utility", {stage.page: 10}, NOON)] == [service]


def test_what_is_planned_for_after_the_cap_is_free_again_holds_nobody_up(stage: Stage) -> None:
    contact = stage.contact(inbound=NOON)
    stage.message(contact, **ASKED | {"not_before": NOON + 30 * HOUR, "due_at": NOON + 30 * HOUR})
    newsletter = stage.message(contact)
    assert [each.message_id for each in _begin(stage)] == [newsletter]
