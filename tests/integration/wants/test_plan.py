from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from policies.calendars import holidays_version
from policies.facts import facts_from_json
from policies.local_time import tzdata_version
from policies.policy import load_policy
from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.consent.choices import record_opt_out
from scheduler.errors import NotFound
from scheduler.facts.messages import read_message
from scheduler.governance.active import active_policies, policy_by_version
from scheduler.governance.explanations import explain_log
from scheduler.governance.policies import activate_policy
from scheduler.outbox.plan import Wish, decide_wish, store_planned
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.integration.noon import HOUR, NOON


@pytest.fixture
def wish(page: Page, template: Callable[..., Any]) -> Callable[..., Wish]:
    """``wish(category="utility")``: a wish of the page."""

    def make(**more: Any) -> Wish:
        given: dict[str, Any] = {"page_id": page.id, "template_id": template().id, "category": "promotional"}
        return Wish(**(given | more))

    return make


@pytest.mark.parametrize(
    ("category", "lane"), [("utility", "utility"), ("promotional", "promotional"), ("service", "promotional")]
)
def test_utility_has_a_lane_of_its_own(wish: Callable[..., Wish], category: str, lane: str) -> None:
    assert wish(category=category).lane == lane


def test_nothing_decided_is_nothing_stored(
    session: Session, wish: Callable[..., Wish], rows: Callable[..., list[Any]]
) -> None:
    assert decide_wish(session, wish(), [], NOON) == decide_wish(session, wish(), [12345], NOON) == []
    assert store_planned(session, wish(), [], NOON) == {}
    assert rows("SELECT 1 FROM message") == []


def test_every_column_is_what_was_decided(
    session: Session, wish: Callable[..., Wish], people: Callable[..., dict[str, int]], rows: Callable[..., list[Any]]
) -> None:
    made = people("ada") | people("tokyo", timezones=["Asia/Tokyo"])
    wanted = wish(topic="sales", not_before=NOON, expires_at=NOON + 20 * HOUR, variables={"product": {"name": "“X”"}})
    decided = decide_wish(session, wanted, list(made.values()), NOON)
    assert [each.contact_id for each in decided] == list(made.values())
    assert store_planned(session, wanted, decided, NOON, actor="somebody") == {"scheduled": 2}
    messages = {row.contact_id: row for row in rows("SELECT * FROM message")}
    log = {row.message_id: row for row in rows("SELECT * FROM message_log")}
    for each in decided:
        message = messages[each.contact_id]
        entry = log[message.id]
        assert (message.topic, message.not_before, message.expires_at) == ("sales", NOON, NOON + 20 * HOUR)
        assert (message.variables, message.campaign_id, message.event_id) == (wanted.variables, None, None)
        assert (message.state_at, message.created_at, message.attempts, message.crashes) == (NOON, NOON, 0, 0)
        assert (entry.actor, entry.at) == ("somebody", NOON)
        assert (entry.tzdata, entry.holidays) == (tzdata_version(), holidays_version())
        assert facts_from_json(entry.facts) == each.facts
        assert message.policy_version == entry.policy_version == load_policy("default").version
    now, later = (messages[contact] for contact in made.values())
    assert (now.due_at, now.reason, log[now.id].verdict, log[now.id].until) == (NOON, None, "send", None)
    assert (later.due_at, later.reason) == (NOON + 11 * HOUR, "quiet_hours")
    assert (log[later.id].until, log[later.id].because) == (NOON + 11 * HOUR, ["quiet_hours"])


def test_the_send_guard_is_part_of_every_decision(
    session: Session, wish: Callable[..., Wish], people: Callable[..., dict[str, int]],
    set_environment: Callable[..., None],
) -> None:  # fmt: skip
    # 18:59:55 UTC is 20:59:55 in Berlin: five seconds are left of the evening.
    at = NOON + 7 * HOUR - 5
    ada = people("ada")["ada"]
    set_environment(DULY_CLOCK_RATE="1", DULY_SEND_GUARD="2")
    assert decide_wish(session, wish(), [ada], at)[0].decision.verdict == "send"
    set_environment(DULY_SEND_GUARD="10")
    assert decide_wish(session, wish(), [ada], at)[0].decision.verdict == "defer"


def test_a_decision_is_explained_with_the_send_guard_of_then(
    session: Session, wish: Callable[..., Wish], people: Callable[..., dict[str, int]],
    set_environment: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    at = NOON + 7 * HOUR - 5
    ada = people("ada")["ada"]
    set_environment(DULY_CLOCK_RATE="1", DULY_SEND_GUARD="10")
    wanted = wish()
    store_planned(session, wanted, decide_wish(session, wanted, [ada], at), at)
    set_environment(DULY_SEND_GUARD="2")
    found = read_message(session, rows("SELECT id FROM message")[0].id)
    assert found is not None
    assert [(row["verdict"], row["guard"]) for row in found["log"]] == [("defer", 10)]
    (explained,) = explain_log(session, found["log"])
    assert explained is not None
    assert (explained[0].verdict, explained[0].at) == ("defer", found["log"][0]["until"])


def test_an_opt_out_that_is_being_acknowledged_is_waited_for(
    session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any],
    rows: Callable[..., list[Any]], eventually: Callable[..., None],
) -> None:  # fmt: skip
    made = people("ada", "bob")
    template()
    campaign = registry.create_campaign(
        session, page, name="Spring", template="promo", audience="everyone", actor="tests", now=NOON
    )
    assert campaign.id is not None
    lifecycle.launch(session, campaign.id, actor="tests", now=NOON)
    session.commit()

    def plan() -> None:
        with database.session() as mine:
            plan_next(mine, NOON)

    with ThreadPoolExecutor(1) as pool, database.session() as webhook:
        record_opt_out(webhook, made["ada"], source="message", at=NOON, now=NOON)
        webhook.flush()
        planning = pool.submit(plan)
        eventually(lambda: rows("SELECT 1 FROM pg_locks WHERE NOT granted") != [], what="the planner's wait")
        webhook.commit()
        planning.result(30)
    session.rollback()
    found = {row.contact_id: (row.state, row.reason) for row in rows("SELECT contact_id, state, reason FROM message")}
    assert found == {made["ada"]: ("denied", "opted_out"), made["bob"]: ("scheduled", None)}


def test_the_newest_activation_decides_and_old_versions_stay_readable(
    session: Session, page: Page, people: Callable[..., dict[str, int]], wish: Callable[..., Wish],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    assert page.id is not None
    tokyo = people("tokyo", timezones=["Asia/Tokyo"])["tokyo"]
    wanted = wish()
    decided = decide_wish(session, wanted, [tokyo], NOON)
    store_planned(session, wanted, decided, NOON)
    bare = load_policy("platform-only")
    activate_policy(session, page.id, bare, actor="tests", why="trying it", now=NOON + 60)
    assert active_policies(session, [page.id]).of(page.id) == bare
    assert decide_wish(session, wanted, [tokyo], NOON)[0].decision.verdict == "send"
    # What waited for the morning is decided anew.
    assert [tuple(row) for row in rows("SELECT state, due_at FROM message")] == [("due", NOON + 60)]
    for name in ("default", "platform-only"):
        version = load_policy(name).version
        assert policy_by_version(session, version).version == version
    assert active_policies(session, [page.id + 1]).of(page.id + 1) is None
    with pytest.raises(NotFound):
        policy_by_version(session, "nosuch")
    assert rows("SELECT count(*) FROM audit_entry WHERE action = 'policy.activate'")[0][0] == 2


def test_rows_are_planned_by_the_ten_thousand(
    session: Session, wish: Callable[..., Wish], people: Callable[..., dict[str, int]], rows: Callable[..., list[Any]]
) -> None:
    made = list(people(*[f"p{number}" for number in range(10_000)]).values())
    wanted = wish()
    assert store_planned(session, wanted, decide_wish(session, wanted, made, NOON), NOON) == {"scheduled": 10_000}
    # Ids were taken from the sequence: what is inserted next does not collide.
    top = rows("SELECT max(id) AS top FROM message")[0].top
    assert session.execute(text("SELECT nextval(pg_get_serial_sequence('message', 'id'))")).scalar_one() == top + 1
