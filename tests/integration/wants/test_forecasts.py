"""What is scheduled for people already counts where somebody looks ahead, so that a preview's figures come true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Planned
from policies.policy import parse_policy
from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.planning import plan_next
from scheduler.facts.planned import scheduled_messages
from scheduler.governance.policies import activate_policy
from scheduler.outbox.begin import begin
from scheduler.outbox.plan import Wish, decide_wish, store_planned
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.noon import HOUR, NOON

TWELVE = [f"p{number:02}" for number in range(12)]


@pytest.fixture
def draft(session: Session, page: Page, template: Callable[..., Any]) -> Callable[..., int]:
    """``draft("Spring", audience=…)``: a draft to everyone, unless told otherwise; its id."""
    template()

    def make(name: str, audience: Any = "everyone", **more: Any) -> int:
        made = registry.create_campaign(
            session, page, name=name, template="promo", audience=audience, **more, actor="tests", now=NOON
        )
        session.commit()
        assert made.id is not None
        return made.id

    return make


def launch(session: Session, campaign: int, *, plan: bool = True) -> None:
    lifecycle.launch(session, campaign, actor="tests", now=NOON)
    session.commit()
    while plan and plan_next(session, NOON):
        session.commit()


def look(session: Session, campaign: int, now: int = NOON) -> preview.Preview:
    return preview.preview(session, registry.get_campaign(session, campaign), now)


def run_through(session: Session, page: Page, until: int, step: int = HOUR) -> None:
    """Let the clock go on: what becomes due is decided and begun, and the platform accepts it."""
    assert page.id is not None
    for now in range(NOON, until, step):
        tick(session, now)
        while begin(session, "promotional", {page.id: 10}, now):
            session.execute(text("UPDATE attempt SET outcome = 'sent' WHERE outcome = 'sending'"))
            session.execute(text("UPDATE message SET state = 'sent' WHERE state = 'sending'"))
            session.commit()
        session.commit()


@pytest.mark.parametrize("planned", [True, False], ids=["planned", "launched a moment ago"])
def test_a_preview_after_another_launch_to_the_same_people_comes_true(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]], planned: bool,
) -> None:  # fmt: skip
    people(*TWELVE)
    spring, summer, autumn = draft("Spring"), draft("Summer"), draft("Autumn", may_wait=False)
    assert look(session, summer).now == 12
    launch(session, spring, plan=planned)
    seen = look(session, summer)
    assert (seen.now, seen.later, seen.waiting, seen.never) == (0, 0, 12, 0)
    assert (seen.waiting_reasons, seen.waits_for) == ({"window_closes_before_cap": 12}, {"inbound": 12})
    assert look(session, autumn).never_reasons == {"window_closes_before_cap": 12}
    assert seen.after == {f"campaign {spring}": 12}
    assert {tuple(sample.after) for sample in seen.samples} == {(f"campaign {spring}",)}
    launch(session, summer)
    launch(session, autumn)
    run_through(session, page, NOON + 30 * HOUR)
    ended = {(row.campaign_id, row.state): row.n for row in rows(
        "SELECT campaign_id, state, count(*) AS n FROM message GROUP BY 1, 2"
    )}  # fmt: skip
    assert ended == {(spring, "sent"): 12, (summer, "scheduled"): 12, (autumn, "denied"): 12}
    assert {row.wakes_on for row in rows("SELECT wakes_on FROM message WHERE state = 'scheduled'")} == {"inbound"}


def test_what_can_follow_in_time_is_later_and_does(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people(*TWELVE)
    save_policy(session, page, '[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "3h"\n')
    spring, summer, autumn = draft("Spring"), draft("Summer"), draft("Autumn")
    launch(session, spring)
    launch(session, summer)
    seen = look(session, autumn)
    assert (seen.now, seen.later, seen.never) == (0, 12, 0)
    assert set(seen.by_hour) == {NOON + 6 * HOUR}
    assert seen.after == {f"campaign {spring}": 12, f"campaign {summer}": 12}
    launch(session, autumn)
    run_through(session, page, NOON + 8 * HOUR)
    sent = rows(
        "SELECT m.campaign_id, a.begun_at - :noon AS at, count(*) AS n FROM attempt a "
        "JOIN message m ON m.id = a.message_id GROUP BY 1, 2 ORDER BY 2", noon=NOON,
    )  # fmt: skip
    assert [tuple(row) for row in sent] == [(spring, 0, 12), (summer, 3 * HOUR, 12), (autumn, 6 * HOUR, 12)]


def save_policy(session: Session, page: Page, more: str) -> None:
    assert page.id is not None
    policy = parse_policy(f'[policy]\nname = "ours"\nextends = "default"\n{more}', where="t")
    activate_policy(session, page.id, policy, actor="tests", why="test", now=NOON)
    session.commit()


def test_only_what_is_no_lower_counts(
    session: Session, draft: Callable[..., int], people: Callable[..., dict[str, int]]
) -> None:
    people(*TWELVE)
    low, high = draft("Low", priority=-5), draft("High", priority=5)
    launch(session, low)
    assert look(session, high).now == 12
    assert look(session, draft("Same", priority=-5)).waiting == 12
    assert look(session, draft("Lower", priority=-6)).waiting == 12


def test_a_launched_list_counts_its_own_members_alone(
    session: Session, draft: Callable[..., int], people: Callable[..., dict[str, int]]
) -> None:
    people(*TWELVE)
    some = draft("Some", audience=TWELVE[:5])
    everyone = draft("Everyone")
    launch(session, some, plan=False)
    seen = look(session, everyone)
    assert (seen.now, seen.waiting, seen.after) == (7, 5, {f"campaign {some}": 5})


def test_a_taken_back_campaign_is_in_nobodys_way(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people(*TWELVE)
    spring, summer = draft("Spring", not_before=NOON + 2 * HOUR), draft("Summer")
    launch(session, spring)
    launch(session, summer)
    # Lost to spring, as it seems; it waits to see, and is not denied for what was only planned.
    waiting = rows("SELECT DISTINCT state, reason, due_at FROM message WHERE campaign_id = :id", id=summer)
    assert [tuple(row) for row in waiting] == [("scheduled", "frequency_cap", NOON + 2 * HOUR + 1)]
    lifecycle.cancel(session, spring, actor="tests", now=NOON + HOUR)
    session.commit()
    run_through(session, page, NOON + 4 * HOUR)
    ended = rows("SELECT campaign_id, state, count(*) AS n FROM message GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in ended] == [(spring, "cancelled", 12), (summer, "sent", 12)]


def test_what_came_after_a_taken_back_campaign_need_not_wait_for_it(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people(*TWELVE)
    save_policy(session, page, '[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "3h"\n')
    spring, summer = draft("Spring", not_before=NOON + HOUR), draft("Summer")
    launch(session, spring)
    launch(session, summer)
    due = rows("SELECT DISTINCT due_at FROM message WHERE campaign_id = :id", id=summer)
    assert [row.due_at for row in due] == [NOON + 4 * HOUR]
    lifecycle.cancel(session, spring, actor="tests", now=NOON)
    session.commit()
    run_through(session, page, NOON + HOUR)
    ended = rows("SELECT campaign_id, state, count(*) AS n FROM message GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in ended] == [(spring, "cancelled", 12), (summer, "sent", 12)]


def test_what_came_after_a_message_that_was_denied_need_not_wait_for_it(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada")
    save_policy(session, page, '[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "3h"\n')
    spring, summer = draft("Spring", not_before=NOON + HOUR), draft("Summer")
    launch(session, spring)
    launch(session, summer)
    # The first ends unsent, by its own rules.
    session.execute(text("UPDATE message SET topic = 'spring' WHERE campaign_id = :id"), {"id": spring})
    session.execute(text("INSERT INTO suppression (contact_id, reason, topic, since) "
                         "SELECT id, 'opted_out', 'spring', 0 FROM contact"))  # fmt: skip
    session.commit()
    run_through(session, page, NOON + 3 * HOUR)
    ended = rows("SELECT campaign_id, state, count(*) AS n FROM message GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in ended] == [(spring, "denied", 1), (summer, "sent", 1)]


def test_a_paused_campaign_is_in_nobodys_way(
    session: Session, draft: Callable[..., int], people: Callable[..., dict[str, int]]
) -> None:
    people(*TWELVE)
    spring, summer = draft("Spring"), draft("Summer")
    launch(session, spring)
    lifecycle.pause(session, spring, actor="tests", now=NOON)
    session.commit()
    assert look(session, summer).now == 12


def test_dispatch_counts_what_was_begun_and_nothing_else(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada")
    launch(session, draft("Spring"))
    assert page.id is not None
    tick(session, NOON)
    assert begin(session, "promotional", {page.id: 10}, NOON)
    [log] = rows("SELECT facts FROM message_log WHERE to_state = 'sending'")
    assert "planned" not in log.facts


def test_the_plans_explanation_names_what_was_planned_before_it(
    session: Session, draft: Callable[..., int], people: Callable[..., dict[str, int]], api: Callable[..., Any],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada")
    spring, summer = draft("Spring"), draft("Summer")
    launch(session, spring)
    launch(session, summer)
    [row] = rows("SELECT id FROM message WHERE campaign_id = :id", id=summer)
    told = api("GET", f"/messages/{row.id}").json()
    words = [finding["words"] for finding in told["log"][0]["findings"] if finding["rule"] == "frequency_cap"]
    assert any(f"campaign {spring}'s is planned at" in each for each in words), words


def test_the_api_previews_whom_it_comes_after(
    session: Session, draft: Callable[..., int], people: Callable[..., dict[str, int]], api: Callable[..., Any]
) -> None:
    people(*TWELVE)
    spring, summer = draft("Spring"), draft("Summer")
    launch(session, spring)
    told = api("POST", f"/campaigns/{summer}/preview").json()
    assert (told["now"], told["waiting"], told["after"]) == (0, 12, {f"campaign {spring}": 12})
    assert told["samples"][0]["after"] == [f"campaign {spring}"]
    body = {"name": "N", "template": "promo", "audience": "everyone", "priority": 3}
    made = api("POST", "/pages/555/campaigns", body)
    assert (made.status_code, made.json()["priority"]) == (201, 3)
    assert api("POST", "/pages/555/campaigns", {**body, "priority": 101}).status_code == 422


def test_what_is_scheduled_is_read_for_all_in_one_query(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people(*TWELVE)
    spring = draft("Spring", not_before=NOON + HOUR)
    launch(session, spring)
    found = scheduled_messages(session, list(made.values()), NOON, least=0)
    assert found.keys() == set(made.values())
    for some in found.values():
        [one] = some
        assert one.planned == Planned(
            at=NOON + HOUR, category="promotional", ground="standard_window", owner=f"campaign {spring}"
        )
    assert scheduled_messages(session, list(made.values()), NOON, least=1) == {}
    assert scheduled_messages(session, [], NOON, least=0) == {}
    # What has been due for a while is planned for now.
    late = scheduled_messages(session, list(made.values()), NOON + 2 * HOUR, least=0)
    assert {each.planned.at for some in late.values() for each in some} == {NOON + 2 * HOUR}


def test_a_follow_up_is_named_by_its_event(
    session: Session, page: Page, draft: Callable[..., int], people: Callable[..., dict[str, int]],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada")
    summer = draft("Summer")
    session.execute(
        text("""
        INSERT INTO business_event (id, page_id, kind, key, body, occurred_at, received_at, plan_cursor, planned_at)
        SELECT 7, id, 'product.back_in_stock', 'k', '{}', 0, 0, 0, 0 FROM page
    """)
    )
    assert page.id is not None
    [promo] = rows("SELECT id FROM template")
    wish = Wish(page_id=page.id, template_id=promo.id, category="promotional", event_id=7, requested=True)
    store_planned(session, wish, decide_wish(session, wish, list(made.values()), NOON), NOON)
    session.commit()
    seen = look(session, summer)
    assert (seen.waiting, seen.after, seen.samples[0].after) == (1, {"follow-ups": 1}, ["event 7"])
