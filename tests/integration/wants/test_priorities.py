"""What a person asked for goes first: what is lower and only scheduled gives way, waits, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.errors import Invalid
from scheduler.followups.events import receive_event
from scheduler.followups.interests import ask_back_in_stock
from scheduler.followups.planning import plan_next_event
from scheduler.followups.recipes import set_recipe
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.priorities import HIGHEST, LOWEST, REQUESTED, SERVICE, precedence, priority_of
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.noon import HOUR, NOON

#: 22:00 in Berlin: the night, in which a promotion waits for eight o'clock.
NIGHT = NOON + 8 * HOUR
MORNING = NOON + 18 * HOUR
STOCK = {"sku": "red-shoe", "name": "Red shoe"}


@pytest.fixture
def shop(session: Session, page: Page, template: Callable[..., Any]) -> Page:
    """A page with a newsletter, and recipes for what comes back and for what is shipped."""
    template("promo", "News")
    template("stock", "{{ product.name }} is back", topic="back_in_stock")
    template(
        "shipped", category="utility", utility_name="shipped", utility_approved=True,
        bodies={"en": {"text": "Order {{ order.number }}", "parameters": {"number": "{{ order.number }}"}}},
    )  # fmt: skip
    set_recipe(session, page, "product.back_in_stock", template="stock", actor="tests", now=NOON)
    set_recipe(session, page, "order.shipped", template="shipped", actor="tests", now=NOON)
    session.commit()
    return page


@pytest.fixture
def newsletter(session: Session, shop: Page) -> Callable[..., int]:
    """``newsletter(now)``: launched and planned to everyone; its id."""

    def go(now: int, **more: Any) -> int:
        made = registry.create_campaign(
            session, shop, name="News", template="promo", audience="everyone", actor="tests", now=now, **more
        )
        assert made.id is not None
        lifecycle.launch(session, made.id, actor="tests", now=now)
        session.commit()
        while plan_next(session, now):
            session.commit()
        session.commit()
        return made.id

    return go


@pytest.fixture
def back(session: Session, shop: Page) -> Callable[..., None]:
    """``back(now)``: the shoe is back; whoever asked is planned for."""

    def tell(now: int) -> None:
        receive_event(
            session, shop, kind="product.back_in_stock", key=f"back {now}", data=STOCK, actor="tests", now=now
        )
        session.commit()
        while plan_next_event(session, now):
            session.commit()
        session.commit()

    return tell


def ask(session: Session, page: Page, *contacts: int) -> None:
    assert page.id is not None
    for contact in contacts:
        ask_back_in_stock(session, contact, page.id, "red-shoe", NOON - HOUR, NOON)
    session.commit()


def run_until(session: Session, page: Page, since: int, until: int) -> None:
    """Let the clock go on by hours: what becomes due is decided and begun, and the platform accepts it."""
    assert page.id is not None
    for now in range(since, until + 1, HOUR):
        # A second later for what waits to see what went a second before.
        for instant in (now, now + 1):
            tick(session, instant)
            for lane in ("promotional", "utility"):
                while begun := begin(session, lane, {page.id: 10}, instant):
                    settle(session, [accepted(each) for each in begun], instant)
                    session.commit()
            session.commit()


def accepted(begun: Begun) -> Outcome:
    return Outcome(
        message_id=begun.message_id, attempt_id=begun.attempt_id, contact_id=begun.contact_id, page_id=begun.page_id,
        result="sent", mid=f"m_{begun.attempt_id}",
    )  # fmt: skip


def test_every_message_has_its_priority(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    back: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada")
    ask(session, shop, made["ada"])
    newsletter(NOON, priority=7)
    back(NOON)
    receive_event(
        session, shop, kind="order.shipped", key="o", data={"psid": "ada", "order": "1"}, actor="tests", now=NOON
    )
    session.commit()
    while plan_next_event(session, NOON):
        session.commit()
    found = rows("SELECT category, lane, priority FROM message ORDER BY priority")
    assert [tuple(row) for row in found] == [
        ("promotional", "promotional", 7), ("utility", "utility", SERVICE), ("promotional", "promotional", REQUESTED),
    ]  # fmt: skip
    assert [precedence(row.priority) for row in found] == ["promotional", "service", "requested"]
    assert LOWEST <= priority_of("promotional", own=HIGHEST) < priority_of("service") < priority_of("x", requested=True)


def test_whoever_asked_gets_what_they_asked_for_and_the_newsletter_says_why_not(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    back: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    asked = people(*[f"asked{number}" for number in range(7)])
    others = people(*[f"other{number}" for number in range(12)])
    ask(session, shop, *asked.values())
    # Both in the night, the newsletter first: each would go at eight in the morning, and the day has room for one.
    sent = newsletter(NIGHT)
    assert {row.due_at for row in rows("SELECT due_at FROM message")} == {MORNING}
    back(NIGHT + HOUR)
    waiting = rows(
        "SELECT contact_id, state, reason, due_at FROM message WHERE campaign_id = :id ORDER BY contact_id", id=sent
    )
    gave_way = [row for row in waiting if row.contact_id in asked.values()]
    assert {tuple(row)[1:] for row in gave_way} == {("scheduled", "frequency_cap", MORNING + 1)}
    assert {tuple(row)[1:] for row in waiting if row not in gave_way} == {("scheduled", "quiet_hours", MORNING)}
    run_until(session, shop, NIGHT, MORNING + 4 * HOUR)
    ended = {(row.contact_id, row.event_id is not None): (row.state, row.reason) for row in rows(
        "SELECT contact_id, event_id, state, reason FROM message"
    )}  # fmt: skip
    assert {ended[contact, True][0] for contact in asked.values()} == {"sent"}
    assert {ended[contact, False][0] for contact in others.values()} == {"sent"}
    assert {ended[contact, False] for contact in asked.values()} == {("scheduled", "window_closes_before_cap")}
    assert faults(session) == []


def test_the_newsletter_goes_when_the_cap_allows(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    back: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada", last_inbound_at=NIGHT - HOUR)
    session.execute(
        text("""
        INSERT INTO permission_token (contact_id, kind, sealed, digest, granted_at)
        SELECT id, 'recurring', '', '', 0 FROM contact
    """)
    )
    session.execute(text("UPDATE contact SET country = 'DE'"))
    ask(session, shop, made["ada"])
    sent = newsletter(NIGHT)
    back(NIGHT)
    # The token carries it a day after the other one.
    [row] = rows("SELECT state, reason, due_at FROM message WHERE campaign_id = :id", id=sent)
    assert tuple(row) == ("scheduled", "frequency_cap", MORNING + 24 * HOUR)
    told = rows("SELECT from_state, to_state, reason, actor FROM message_log WHERE actor = 'wake' ORDER BY id")
    assert [tuple(row) for row in told] == [
        ("scheduled", "due", "gives_way", "wake"), ("due", "scheduled", "frequency_cap", "wake"),
    ]  # fmt: skip
    assert faults(session) == []


def test_what_was_asked_for_and_is_taken_back_leaves_the_newsletter_its_turn(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    back: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada")
    ask(session, shop, made["ada"])
    sent = newsletter(NIGHT)
    back(NIGHT)
    # Nothing is lost to a message that did not go after all.
    session.execute(text("UPDATE message SET expires_at = :at WHERE event_id IS NOT NULL"), {"at": MORNING - HOUR})
    run_until(session, shop, NIGHT, MORNING + HOUR)
    [row] = rows("SELECT state FROM message WHERE campaign_id = :id", id=sent)
    assert row.state == "sent"


def test_what_has_begun_is_not_undone(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    back: Callable[..., None], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada")
    ask(session, shop, made["ada"])
    sent = newsletter(NOON)
    assert shop.id is not None
    tick(session, NOON)
    assert begin(session, "promotional", {shop.id: 10}, NOON)
    back(NOON)
    found = {row.campaign_id: (row.state, row.reason) for row in rows("SELECT * FROM message")}
    assert found == {sent: ("sending", None), None: ("scheduled", "window_closes_before_cap")}


def test_a_higher_campaign_pushes_back_a_lower_one_and_is_planned_before_it(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada", "bob")
    low = newsletter(NIGHT)
    high = newsletter(NIGHT, priority=1)
    run_until(session, shop, NIGHT, MORNING + HOUR)
    ended = rows("SELECT campaign_id, state, count(*) AS n FROM message GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in ended] == [(low, "scheduled", 2), (high, "sent", 2)]
    drafts = [
        registry.create_campaign(
            session, shop, name="D", template="promo", audience="everyone", priority=priority, actor="t", now=NIGHT
        )
        for priority in (0, 5, 0)
    ]
    for draft in drafts:
        assert draft.id is not None
        lifecycle.launch(session, draft.id, actor="t", now=NIGHT)
    session.commit()
    assert plan_next(session, NIGHT)
    session.commit()
    planned = [draft.id for draft in drafts if draft.planned_at is not None]
    assert planned == [drafts[1].id]
    assert plan_next(session, NIGHT)
    assert [draft.planned_at is not None for draft in drafts] == [True, True, False]


def test_what_shares_no_cap_does_not_give_way(
    session: Session, shop: Page, people: Callable[..., dict[str, int]], newsletter: Callable[..., int],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada")
    sent = newsletter(NIGHT)
    receive_event(
        session, shop, kind="order.shipped", key="o", data={"psid": "ada", "order": "1"}, actor="tests", now=NIGHT
    )
    session.commit()
    while plan_next_event(session, NIGHT):
        session.commit()
    [row] = rows("SELECT state, due_at FROM message WHERE campaign_id = :id", id=sent)
    assert tuple(row) == ("scheduled", MORNING)


@pytest.mark.parametrize("priority", [LOWEST - 1, HIGHEST + 1])
def test_a_priority_out_of_bounds_is_refused(session: Session, shop: Page, priority: int) -> None:
    with pytest.raises(Invalid, match="out of bounds") as refused:
        registry.create_campaign(
            session, shop, name="N", template="promo", audience="everyone", priority=priority, actor="t", now=NOON
        )
    assert refused.value.field == "priority"


def test_only_promotions_have_a_priority_of_their_own(
    session: Session, shop: Page, template: Callable[..., Any]
) -> None:
    template("hours", "We open at nine.", category="service")
    with pytest.raises(Invalid, match="is for promotions") as refused:
        registry.create_campaign(
            session, shop, name="N", template="hours", audience="everyone", priority=3, actor="t", now=NOON
        )
    assert refused.value.field == "priority"
