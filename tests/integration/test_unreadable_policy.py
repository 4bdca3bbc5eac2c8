"""A stored policy that cannot be read stops its page, and nobody else's; nothing is denied for it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import Session
from structlog.testing import capture_logs

from policies.policy import load_policy
from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.planning import plan_next
from scheduler.campaigns.tables import Campaign
from scheduler.errors import Conflict
from scheduler.facts.messages import read_message
from scheduler.followups.events import receive_event
from scheduler.followups.planning import plan_next_event
from scheduler.followups.recipes import set_recipe
from scheduler.followups.tables import BusinessEvent
from scheduler.governance.active import policy_by_version
from scheduler.governance.explanations import explain_log
from scheduler.governance.policies import activate_policy
from scheduler.outbox.begin import begin
from scheduler.outbox.overdue import decide_overdue
from scheduler.pages.tables import Page
from tests.unit.delivery.stage import HOUR, NOON, Stage
from workers.directory import Directory

VERSION = "e" * 64


@pytest.fixture
def stage(session: Session) -> Stage:
    """Two pages; the first one's policy was written by a Duly that knows more."""
    made = Stage(session)
    made.add_page()
    session.execute(
        text("INSERT INTO policy_version (version, name, document, created_at) VALUES (:v, 'new', :document, 0)"),
        {"v": VERSION, "document": 'name = "new"\n[a_rule_of_tomorrow]\nx = 1\n'},
    )
    session.execute(
        text(
            "INSERT INTO policy_activation (page_id, version, actor, why, activated_at) "
            "VALUES (:page, :v, 'tests', 'tests', 0)"
        ),
        {"page": made.page, "v": VERSION},
    )
    return made


def test_its_messages_stay_due_and_the_others_go(stage: Stage) -> None:
    # Of the stopped page are the earlier ones, and more than a batch.
    stopped = [stage.message(stage.contact(), deadline=NOON + HOUR) for _ in range(5)]
    other = [stage.message(stage.contact(page=stage.pages[1])) for _ in range(2)]
    quotas = dict.fromkeys(stage.pages, 10)
    with capture_logs() as said:
        begun = begin(stage.session, "promotional", quotas, NOON, limit=2)
        assert begin(stage.session, "promotional", quotas, NOON, limit=2) == []
    assert [one.message_id for one in begun] == other
    assert {stage.state(message) for message in stopped} == {"due"}
    assert [stage.arrows(message) for message in stopped] == [[(None, "due")]] * 5
    complaints = [line for line in said if line["event"] == "policy_unreadable"]
    assert [(line["log_level"], line["page"], line["version"]) for line in complaints] == [
        ("error", stage.page, VERSION)
    ]


def test_another_policy_lets_them_go(stage: Stage) -> None:
    message = stage.message(stage.contact())
    assert begin(stage.session, "promotional", {stage.page: 10}, NOON) == []
    assert decide_overdue(stage.session, NOON + 30 * HOUR) == 0
    activate_policy(stage.session, stage.page, load_policy("default"), actor="t", why="t", now=NOON)
    assert [one.message_id for one in begin(stage.session, "promotional", {stage.page: 10}, NOON)] == [message]


def test_delivery_does_not_turn_in_circles_for_it(stage: Stage) -> None:
    directory = Directory()
    directory.refresh(stage.session)
    assert [directory.knows(page) for page in stage.pages] == [False, True]


def test_its_campaign_waits_and_the_next_one_is_planned(stage: Stage) -> None:
    campaigns = []
    for page_id in stage.pages:
        stage.contact(page=page_id)
        page = stage.session.get_one(Page, page_id)
        made = registry.create_campaign(
            stage.session, page, name="Spring", template="promotional", audience="everyone", actor="t", now=NOON
        )
        assert made.id is not None
        campaigns.append(made.id)
    with pytest.raises(Conflict, match="cannot be read") as refused:
        preview.preview(stage.session, registry.get_campaign(stage.session, campaigns[0]), NOON)
    assert refused.value.way_out
    for campaign in campaigns:
        lifecycle.launch(stage.session, campaign, actor="t", now=NOON)
    assert plan_next(stage.session, NOON)
    assert not plan_next(stage.session, NOON)
    status = [stage.session.get_one(Campaign, each, populate_existing=True).status for each in campaigns]
    assert status == ["planning", "running"]
    assert [row.page_id for row in stage.rows("SELECT page_id FROM message")] == [stage.pages[1]]
    activate_policy(stage.session, stage.page, load_policy("default"), actor="t", why="t", now=NOON)
    assert plan_next(stage.session, NOON)
    assert [row.state for row in stage.rows("SELECT state FROM message ORDER BY id")] == ["scheduled"] * 2


def test_its_event_waits_and_the_next_one_is_planned(stage: Stage) -> None:
    events = []
    for page_id in stage.pages:
        contact = stage.contact(page=page_id)
        page = stage.session.get_one(Page, page_id)
        set_recipe(
            stage.session, page, kind="order.shipped", template="utility", expires_after_hours=24, actor="t", now=NOON
        )
        data = {"psid": stage.psid(contact), "order": "A1"}
        event, _ = receive_event(stage.session, page, kind="order.shipped", key="k", data=data, actor="t", now=NOON)
        events.append(event.id)
    assert plan_next_event(stage.session, NOON)
    assert not plan_next_event(stage.session, NOON)
    planned = [stage.session.get_one(BusinessEvent, each, populate_existing=True).planned_at for each in events]
    assert planned == [None, NOON]


def test_what_it_decided_once_is_shown_without_its_findings(stage: Stage) -> None:
    message = stage.message(stage.contact(page=stage.pages[1]))
    begin(stage.session, "promotional", {stage.pages[1]: 1}, NOON)
    # As if it had been decided under another version: the log itself may not be edited.
    stage.session.execute(text("ALTER TABLE message_log DISABLE TRIGGER message_log_append_only"))
    stage.session.execute(text("UPDATE message_log SET policy_version = :v WHERE to_state = 'sending'"), {"v": VERSION})
    stage.session.execute(text("ALTER TABLE message_log ENABLE TRIGGER message_log_append_only"))
    story = read_message(stage.session, message)
    assert story is not None
    assert explain_log(stage.session, story["log"]) == [None, None]
    with pytest.raises(Conflict, match="cannot be read"):
        policy_by_version(stage.session, VERSION)
