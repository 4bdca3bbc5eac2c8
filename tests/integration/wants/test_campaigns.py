from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlmodel import Session

from policies.case import HORIZON
from policies.engine import decide
from policies.facts import facts_from_json
from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.planning import plan_next
from scheduler.campaigns.status import status
from scheduler.campaigns.tables import Campaign
from scheduler.clock import guard_seconds
from scheduler.consent.choices import record_opt_out
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.governance.active import policies_by_version
from scheduler.governance.switches import Scope, engage, release
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.integration.noon import HOUR, NOON


@pytest.fixture
def campaign(session: Session, page: Page, template: Callable[..., Any]) -> Callable[..., int]:
    """``campaign(audience=…)``: a draft; its id."""

    def make(audience: Any = "everyone", **more: Any) -> int:
        if not registry.list_campaigns(session, page_id=None, before=None, limit=1):
            template()
        made = registry.create_campaign(
            session, page, name="Spring", template="promo", audience=audience, **more, actor="tests", now=NOON
        )
        session.commit()
        assert made.id is not None
        return made.id

    return make


@pytest.fixture
def crowd(session: Session, people: Callable[..., dict[str, int]]) -> dict[str, int]:
    """People of every fate: now, later, waiting, never."""
    opted_out = people("opted")
    record_opt_out(session, opted_out["opted"], source="api", at=NOON - HOUR, now=NOON - HOUR)
    session.commit()
    return {
        **opted_out,
        **people("berlin1", "berlin2", "berlin3"),
        **people("night1", "night2", timezones=["Asia/Tokyo"]),
        **people("dawn", timezones=["Pacific/Auckland"], last_inbound_at=NOON - 18 * HOUR),
        **people("closed1", "closed2", last_inbound_at=NOON - 25 * HOUR),
        **people("silent", last_inbound_at=None),
        **people("handed", handover_at=NOON - HOUR),
    }


def launch(session: Session, campaign_id: int) -> None:
    lifecycle.launch(session, campaign_id, actor="tests", now=NOON)
    session.commit()


def plan_all(session: Session, limit: int = 2000) -> int:
    chunks = 0
    while plan_next(session, NOON, limit):
        session.commit()
        chunks += 1
    session.commit()
    return chunks


def test_a_preview_of_a_large_audience_ends_in_time_and_says_so(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int]
) -> None:
    found = registry.get_campaign(session, campaign())
    assert preview.preview(session, found, NOON, limit=2).complete
    seen = preview.preview(session, found, NOON, limit=2, patience=0.0)
    assert not seen.complete
    assert seen.now + seen.later + seen.waiting + seen.never == 2


@pytest.mark.parametrize("limit", [1, 3, 10, 2000])
def test_a_launch_plans_what_the_preview_showed(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]], limit: int
) -> None:
    made = campaign()
    seen = preview.preview(session, registry.get_campaign(session, made), NOON, limit=limit)
    assert rows("SELECT * FROM message") == rows("SELECT * FROM message_log") == []
    assert (seen.now, seen.later, seen.waiting, seen.never) == (3, 2, 5, 1)
    assert seen.waits_for == {"inbound": 4, "handback": 1}
    assert seen.waits_until == NOON + HORIZON
    launch(session, made)
    plan_all(session, limit)
    logged = rows("SELECT verdict, reason, until, count(*) AS n FROM message_log GROUP BY 1, 2, 3")
    later = {row.reason: row.n for row in logged if row.verdict == "defer" and row.until is not None}
    waiting = {row.reason: row.n for row in logged if row.verdict == "defer" and row.until is None}
    never = {row.reason: row.n for row in logged if row.verdict == "deny"}
    assert sum(row.n for row in logged if row.verdict == "send") == seen.now
    assert (Counter(later).total(), set(later)) == (seen.later, set(seen.later_reasons))
    assert (waiting, never) == (seen.waiting_reasons, seen.never_reasons)
    hours = Counter(row.due_at - row.due_at % HOUR for row in rows("SELECT due_at FROM message WHERE due_at > 0"))
    assert dict(hours) == seen.by_hour
    counted = status(session, [made])[made]
    assert counted.states == {"scheduled": 10, "denied": 1}
    assert counted.waits_for == seen.waits_for
    assert counted.reasons["denied"] == seen.never_reasons


def test_what_is_stored_is_what_the_engine_says_of_the_stored_facts(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    launch(session, campaign())
    plan_all(session)
    found = rows("SELECT m.*, l.* FROM message m JOIN message_log l ON l.message_id = m.id")
    assert {row.contact_id for row in found} == set(crowd.values())
    policies = policies_by_version(session, {row.policy_version for row in found})
    for row in found:
        decision = decide(policies[row.policy_version], facts_from_json(row.facts), NOON, min_remaining=guard_seconds())
        due = NOON if decision.verdict == "send" else decision.at
        deadline = NOON + HORIZON if decision.awaits_person else decision.deadline
        assert (row.state, row.due_at, row.deadline, row.reason, row.wakes_on, row.ground, row.because) == (
            "denied" if decision.verdict == "deny" else "scheduled", due, deadline, decision.reason,
            decision.wakes_on, decision.ground, list(decision.because),
        )  # fmt: skip
        assert (row.lane, row.category, row.from_state, row.to_state, row.actor) == (
            "promotional", "promotional", None, row.state, "planner",
        )  # fmt: skip
    parked = [row for row in found if row.contact_id == crowd["handed"]]
    assert [(row.state, row.due_at, row.wakes_on) for row in parked] == [("scheduled", None, "handback")]


def test_a_crash_between_chunks_loses_nothing_and_doubles_nothing(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    made = campaign()
    launch(session, made)
    assert plan_next(session, NOON, 4)
    session.commit()
    # The second chunk is written and its process dies before the commit.
    with pytest.raises(KeyboardInterrupt), database.session() as dying:
        assert plan_next(dying, NOON, 4)
        raise KeyboardInterrupt
    assert rows("SELECT count(*) FROM message")[0][0] == 4
    session.rollback()
    plan_all(session, 4)
    planned = [row.contact_id for row in rows("SELECT contact_id FROM message ORDER BY id")]
    assert planned == sorted(crowd.values())
    assert rows("SELECT count(*) FROM message_log")[0][0] == len(crowd)
    assert session.get_one(Campaign, made, populate_existing=True).status == "running"


def test_two_planners_at_once_do_each_chunk_once(
    session: Session,
    campaign: Callable[..., int],
    people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:
    made = people(*[f"p{number:03}" for number in range(300)])
    launch(session, campaign())

    def work(_: int) -> None:
        while True:
            with database.session() as mine:
                plan_next(mine, NOON, 10)
            with database.session() as mine:
                if mine.get_one(Campaign, 1).status == "running":
                    return

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert sorted(row.contact_id for row in rows("SELECT contact_id FROM message")) == sorted(made.values())


def test_a_launch_happens_once(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    made = campaign()

    def attempt(_: int) -> bool:
        try:
            with database.session() as mine:
                lifecycle.launch(mine, made, actor="tests", now=NOON)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [False, False, False, True]
    plan_all(session)
    with pytest.raises(Conflict, match="launched already and is running"):
        lifecycle.launch(session, made, actor="tests", now=NOON)
    session.rollback()
    assert plan_all(session) == 0
    assert rows("SELECT count(*) FROM message")[0][0] == len(crowd)
    assert rows("SELECT count(*) FROM audit_entry WHERE action = 'campaign.launch'")[0][0] == 1


def test_who_comes_after_the_launch_is_not_in_the_audience(
    session: Session,
    campaign: Callable[..., int],
    people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:
    early = people("early")["early"]
    launch(session, campaign())
    people("late")
    plan_all(session)
    assert [row.contact_id for row in rows("SELECT contact_id FROM message")] == [early]


def test_a_listed_audience_is_those_listed_once_each(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    launch(session, campaign(["berlin2", "night1", "berlin2"]))
    plan_all(session, 1)
    found = [row.contact_id for row in rows("SELECT contact_id FROM message ORDER BY 1")]
    assert found == sorted([crowd["berlin2"], crowd["night1"]])


def test_nobody_unknown_is_listed(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    with pytest.raises(Invalid, match="`nobody`, `nosuch`") as refused:
        campaign(["berlin1", "nosuch", "nobody"])
    assert refused.value.field == "audience"
    session.rollback()
    assert rows("SELECT * FROM campaign") == rows("SELECT * FROM audience_member") == []


def test_a_campaign_without_anybody_is_over_at_once(session: Session, campaign: Callable[..., int]) -> None:
    made = campaign()
    launch(session, made)
    plan_all(session)
    assert session.get_one(Campaign, made, populate_existing=True).status == "finished"


def test_a_pause_stops_planning_and_parks_and_a_resume_goes_on(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    made = campaign()
    launch(session, made)
    assert plan_next(session, NOON, 4)
    lifecycle.pause(session, made, actor="tests", now=NOON)
    session.commit()
    assert plan_all(session) == 0
    assert rows("SELECT count(*) FROM message")[0][0] == 4
    resumed = lifecycle.resume(session, made, actor="tests", now=NOON)
    session.commit()
    assert resumed.status == "planning"
    # Planned before the pause: they wait for their instants as before.
    assert {row.state for row in rows("SELECT state FROM message")} <= {"scheduled", "denied"}
    plan_all(session)
    assert rows("SELECT count(*) FROM message")[0][0] == len(crowd)
    with pytest.raises(Conflict, match="only a paused campaign"):
        lifecycle.resume(session, made, actor="tests", now=NOON)


def test_a_cancel_takes_back_what_waits_and_stays(
    session: Session, campaign: Callable[..., int], crowd: dict[str, int], rows: Callable[..., list[Any]]
) -> None:
    made = campaign()
    launch(session, made)
    assert plan_next(session, NOON, 4)
    session.commit()
    lifecycle.cancel(session, made, actor="tests", now=NOON)
    session.commit()
    assert plan_all(session) == 0
    assert {row.state for row in rows("SELECT state FROM message")} <= {"cancelled", "denied"}
    for step in (lifecycle.pause, lifecycle.resume, lifecycle.cancel, lifecycle.launch):
        with pytest.raises(Conflict):
            step(session, made, actor="tests", now=NOON)
        session.rollback()


def test_under_a_kill_switch_everything_is_parked_and_its_release_wakes_it(
    session: Session,
    page: Page,
    campaign: Callable[..., int],
    people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:
    people("ada", "bob")
    switch = engage(session, Scope(page_id=page.id), actor="tests", why="a wrong price", now=NOON)
    launch(session, campaign())
    plan_all(session)
    parked = rows("SELECT state, due_at, reason, wakes_on FROM message")
    assert [tuple(row) for row in parked] == [("scheduled", None, "kill_switch", "resume")] * 2
    assert switch.id is not None
    release(session, switch.id, actor="tests", now=NOON + 60)
    session.commit()
    assert [tuple(row) for row in rows("SELECT state, due_at FROM message")] == [("due", NOON + 60)] * 2
    with pytest.raises(Conflict, match="released before"):
        release(session, switch.id, actor="tests", now=NOON + 60)


def test_a_schedule_is_part_of_the_decision(
    session: Session,
    campaign: Callable[..., int],
    people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:
    people("ada")
    campaign(not_before=NOON + 30 * 24 * HOUR - 1)  # the furthest that is taken
    launch(session, campaign(not_before=NOON + HOUR, expires_at=NOON + 3 * HOUR))
    plan_all(session)
    row = rows("SELECT due_at, deadline, reason, expires_at FROM message")[0]
    assert tuple(row) == (NOON + HOUR, NOON + 3 * HOUR, "not_before", NOON + 3 * HOUR)


@pytest.mark.parametrize(
    ("column", "instant", "field"),
    [("not_before", NOON + 31 * 24 * HOUR, "not_before"), ("expires_at", NOON - 1, "expires_at")],
)
def test_a_draft_that_nobody_could_get_is_not_launched(
    session: Session, campaign: Callable[..., int], column: str, instant: int, field: str
) -> None:
    made = campaign()
    setattr(registry.get_campaign(session, made), column, instant)
    session.commit()
    with pytest.raises(Invalid) as refused:
        lifecycle.launch(session, made, actor="tests", now=NOON)
    assert refused.value.field == field
    assert refused.value.way_out
    session.rollback()
    assert session.get_one(Campaign, made, populate_existing=True).status == "draft"


@pytest.mark.parametrize("step", [lifecycle.launch, lifecycle.cancel])
def test_only_a_draft_is_looked_ahead_to(
    session: Session, campaign: Callable[..., int], step: Callable[..., Campaign]
) -> None:
    made = campaign()
    step(session, made, actor="tests", now=NOON)
    with pytest.raises(Conflict, match="no launch to look ahead to") as refused:
        preview.preview(session, registry.get_campaign(session, made), NOON)
    assert f"`duly campaign show {made}`" in str(refused.value.way_out)


def test_a_page_without_a_policy_sends_nothing(
    session: Session,
    campaign: Callable[..., int],
    people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:
    people("ada")
    rows("DELETE FROM policy_activation RETURNING id")
    launch(session, campaign())
    plan_all(session)
    row = rows("SELECT state, reason, policy_version FROM message")[0]
    assert tuple(row) == ("denied", "rule_error", None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "HUMAN_AGENT blast"}, "name"),
        ({"template": "nosuch"}, "template"),
        ({"audience": "all"}, "audience"),
        ({"audience": []}, "audience"),
        ({"audience": ["a\x00b"]}, "audience"),
        ({"expires_at": NOON}, "expires_at"),
        ({"expires_at": 10**30}, "expires_at"),
        ({"not_before": -1}, "not_before"),
        ({"not_before": NOON + 30 * 24 * HOUR}, "not_before"),
        ({"not_before": NOON + 5, "expires_at": NOON + 5}, "not_before"),
    ],
)
def test_a_bad_campaign_is_refused_by_field(
    session: Session, page: Page, template: Callable[..., Any], change: dict[str, Any], field: str
) -> None:
    template()
    given: dict[str, Any] = {"name": "Spring", "template": "promo", "audience": "everyone"}
    with pytest.raises(Invalid) as refused:
        registry.create_campaign(session, page, **(given | change), actor="tests", now=NOON)
    assert refused.value.field == field
    assert refused.value.way_out


def test_a_template_that_only_an_event_can_fill_is_no_campaigns(
    session: Session, page: Page, template: Callable[..., Any]
) -> None:
    template("stock", "{{ product.name }} is back")
    with pytest.raises(Invalid, match=r"only the event product\.back_in_stock fills"):
        registry.create_campaign(
            session, page, name="x", template="stock", audience="everyone", actor="tests", now=NOON
        )


def test_there_is_no_campaign_of_an_unknown_id(session: Session) -> None:
    for unknown in (1, 0, -1, 2**70):
        with pytest.raises(NotFound):
            registry.get_campaign(session, unknown)
