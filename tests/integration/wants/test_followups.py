from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.followups.events import receive_event
from scheduler.followups.interests import ask_back_in_stock
from scheduler.followups.planning import plan_next_event
from scheduler.followups.recipes import get_recipe, set_recipe
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.integration.noon import HOUR, NOON

STOCK = {"sku": "red-shoe", "name": "Red shoe"}


@pytest.fixture
def recipes(session: Session, page: Page, template: Callable[..., Any]) -> None:
    """Recipes for both kinds: a promotion for stock, approved utility content for orders."""
    template("stock", "{{ product.name }} is back", topic="back_in_stock")
    template(
        "shipped", category="utility", utility_name="shipped", utility_approved=True,
        bodies={"en": {"text": "Order {{ order.number }}", "parameters": {"number": "{{ order.number }}"}}},
    )  # fmt: skip
    set_recipe(session, page, "product.back_in_stock", template="stock", actor="tests", now=NOON)
    set_recipe(session, page, "order.shipped", template="shipped", expires_after_hours=24, actor="tests", now=NOON)
    session.commit()


@pytest.fixture
def tell(session: Session, page: Page, recipes: None) -> Callable[..., Any]:
    """``tell("product.back_in_stock", "key", {…})``: (event, new)."""

    def receive(kind: str, key: str, data: dict[str, Any], **more: Any) -> Any:
        told = receive_event(session, page, kind=kind, key=key, data=data, **more, actor="tests", now=NOON)
        session.commit()
        return told

    return receive


def ask(session: Session, page: Page, contact: int, sku: str = "red-shoe") -> None:
    assert page.id is not None
    ask_back_in_stock(session, contact, page.id, sku, NOON - HOUR, NOON)
    session.commit()


def plan_all(session: Session, limit: int = 2000) -> int:
    chunks = 0
    while plan_next_event(session, NOON, limit):
        session.commit()
        chunks += 1
    session.commit()
    return chunks


@pytest.mark.parametrize("limit", [1, 2, 2000])
def test_stock_returns_for_those_who_asked_for_that_product(
    session: Session, page: Page, people: Callable[..., dict[str, int]], tell: Callable[..., Any],
    rows: Callable[..., list[Any]], limit: int,
) -> None:  # fmt: skip
    made = people("ada", "bob", "cleo", "dora")
    ask(session, page, made["ada"])
    ask(session, page, made["ada"])
    ask(session, page, made["bob"], "blue-shoe")
    ask(session, page, made["dora"])
    event, new = tell("product.back_in_stock", "r1", STOCK)
    assert new
    plan_all(session, limit)
    found = rows("SELECT * FROM message ORDER BY contact_id")
    assert [row.contact_id for row in found] == [made["ada"], made["dora"]]
    assert {(row.lane, row.category, row.topic, row.state, row.event_id) for row in found} == {
        ("promotional", "promotional", "back_in_stock", "scheduled", event.id)
    }
    assert found[0].variables == {"product": STOCK}
    assert found[0].expires_at == NOON + 72 * HOUR
    served = rows("SELECT contact_id, event_id FROM interest WHERE served_at IS NOT NULL ORDER BY 1")
    assert [tuple(row) for row in served] == [(made["ada"], event.id), (made["dora"], event.id)]


def test_a_served_wish_is_over_until_it_is_made_again(
    session: Session, page: Page, people: Callable[..., dict[str, int]], tell: Callable[..., Any],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    ada = people("ada")["ada"]
    ask(session, page, ada)
    tell("product.back_in_stock", "r1", STOCK)
    plan_all(session)
    tell("product.back_in_stock", "r2", STOCK)
    plan_all(session)
    assert rows("SELECT count(*) FROM message")[0][0] == 1
    ask(session, page, ada)
    tell("product.back_in_stock", "r3", STOCK)
    plan_all(session)
    assert rows("SELECT count(*) FROM message")[0][0] == 2


def test_a_crash_between_chunks_tells_nobody_twice(
    session: Session, page: Page, people: Callable[..., dict[str, int]], tell: Callable[..., Any],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    made = people("ada", "bob", "cleo")
    for contact in made.values():
        ask(session, page, contact)
    tell("product.back_in_stock", "r1", STOCK)
    assert plan_next_event(session, NOON, 1)
    session.commit()
    with pytest.raises(KeyboardInterrupt), database.session() as dying:
        assert plan_next_event(dying, NOON, 1)
        raise KeyboardInterrupt
    # Who was told asks again before the rest is planned: that is a wish for the next time.
    ask(session, page, made["ada"])
    plan_all(session, 1)
    assert [row.contact_id for row in rows("SELECT contact_id FROM message ORDER BY id")] == sorted(made.values())
    assert [row.contact_id for row in rows("SELECT contact_id FROM interest WHERE served_at IS NULL")] == [made["ada"]]


def test_an_order_ships_outside_the_window_as_its_utility_template(
    session: Session, people: Callable[..., dict[str, int]], tell: Callable[..., Any], rows: Callable[..., list[Any]]
) -> None:
    people("ada", last_inbound_at=NOON - 10 * 24 * HOUR)
    event, new = tell("order.shipped", "o-7", {"order": "7", "psid": "ada", "carrier": "DHL"}, occurred_at=NOON - HOUR)
    assert new
    assert plan_all(session) == 1
    row = rows("SELECT * FROM message")[0]
    assert (row.lane, row.state, row.ground, row.due_at) == ("utility", "scheduled", "utility_template", NOON)
    assert (row.variables, row.expires_at) == ({"order": {"number": "7", "carrier": "DHL"}}, NOON + 23 * HOUR)
    again, new = tell("order.shipped", "o-7", {"order": "7", "psid": "ada", "carrier": " DHL "})
    assert (again.id, again.body["order"], new) == (event.id, "7", False)
    assert plan_all(session) == 0


@pytest.mark.parametrize(
    ("data", "occurred_at", "differs"),
    [
        ({"order": "8", "psid": "ada", "carrier": "DHL"}, None, "order"),
        ({"order": "7", "psid": "bob", "carrier": "DHL"}, None, "psid"),
        ({"order": "7", "psid": "ada"}, None, "carrier"),
        ({"order": "7", "psid": "ada", "carrier": "DHL"}, NOON - 2 * HOUR, "occurred_at"),
        ({"order": "7", "crm_id": "C-1", "carrier": "DHL"}, None, "crm_id, psid"),
        ({"order": "7", "email": "ada@example.com", "carrier": "DHL"}, None, "email, psid"),
    ],
)
def test_a_key_that_named_another_event_is_refused_and_says_what_differs(
    session: Session, people: Callable[..., dict[str, int]], tell: Callable[..., Any],
    data: dict[str, str], occurred_at: int | None, differs: str,
) -> None:  # fmt: skip
    people("ada")
    people("bob")
    told = {"order": "7", "psid": "ada", "carrier": "DHL"}
    event, _ = tell("order.shipped", "o-7", told, occurred_at=NOON - HOUR)
    with pytest.raises(Conflict, match=f"differs in {differs}; ") as refused:
        tell("order.shipped", "o-7", data, occurred_at=occurred_at)
    assert refused.value.field == "key"
    again, new = tell("order.shipped", "o-7", told, occurred_at=NOON - HOUR)
    assert (again.id, again.body, new) == (event.id, told, False)


def test_an_event_about_somebody_named_by_a_hash_may_be_told_again_and_not_of_somebody_else(
    session: Session, people: Callable[..., dict[str, int]], tell: Callable[..., Any]
) -> None:
    event, new = tell("order.placed", "p-1", {"order": "7", "email": "Ada@Example.com"})
    assert new
    again, new = tell("order.placed", "p-1", {"order": "7", "email": "ada@example.com"})
    assert (again.id, new) == (event.id, False)
    for other in ({"email": "bob@example.com"}, {"phone": "+49 30 901820"}):
        with pytest.raises(Conflict, match="differs in"):
            tell("order.placed", "p-1", {"order": "7", **other})


def test_an_unapproved_utility_template_has_the_standard_window_only(
    session: Session, page: Page, people: Callable[..., dict[str, int]], tell: Callable[..., Any],
    template: Callable[..., Any], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    people("ada", last_inbound_at=NOON - 10 * 24 * HOUR)
    people("bob")
    template("shipped", "Order {{ order.number }}", category="utility", utility_name="shipped")
    set_recipe(session, page, "order.shipped", template="shipped", actor="tests", now=NOON)
    for psid in ("ada", "bob"):
        tell("order.shipped", psid, {"order": "7", "psid": psid})
    plan_all(session)
    found = rows("SELECT state, reason, ground, wakes_on FROM message ORDER BY contact_id")
    assert [tuple(row) for row in found] == [
        ("scheduled", "window_closed", None, "inbound"),
        ("scheduled", None, "standard_window", None),
    ]


@pytest.mark.parametrize(
    ("kind", "key", "data", "field"),
    [
        ("order.lost", "k", {}, "kind"),
        ("order.shipped", " ", {}, "key"),
        ("order.shipped", "k" * 201, {}, "key"),
        ("order.shipped", "k", {"psid": "ada"}, "data.order"),
        ("order.shipped", "k", {"order": 7, "psid": "ada"}, "data.order"),
        ("order.shipped", "k", {"order": "7", "psid": "nobody"}, "data.psid"),
        ("order.shipped", "k", {"order": "7", "psid": "ada", "weight": "1"}, "data.weight"),
        ("order.shipped", "k", {"order": "7", "psid": "a\x00"}, "data.psid"),
        ("product.back_in_stock", "k", {"sku": "x"}, "data.name"),
        ("product.back_in_stock", "k", {"sku": " ", "name": "x"}, "data.sku"),
    ],
)
def test_a_bad_event_is_refused_by_field(
    people: Callable[..., dict[str, int]], tell: Callable[..., Any], rows: Callable[..., list[Any]],
    kind: str, key: str, data: dict[str, Any], field: str,
) -> None:  # fmt: skip
    people("ada")
    with pytest.raises(Invalid) as refused:
        tell(kind, key, data)
    assert refused.value.field == field
    assert rows("SELECT * FROM business_event") == []


@pytest.mark.parametrize(("at", "words"), [(NOON + HOUR, "in the future"), (-1, "before 1970")])
def test_an_event_of_an_impossible_instant_is_refused(
    people: Callable[..., dict[str, int]], tell: Callable[..., Any], at: int, words: str
) -> None:
    people("ada")
    with pytest.raises(Invalid, match=words) as refused:
        tell("order.shipped", "k", {"order": "7", "psid": "ada"}, occurred_at=at)
    assert refused.value.field == "occurred_at"


def test_an_event_without_a_recipe_says_how_to_make_one(
    session: Session, make_page: Callable[..., Page], recipes: None
) -> None:
    other = make_page("666")
    with pytest.raises(Conflict, match="has no recipe for"):
        receive_event(session, other, kind="product.back_in_stock", key="k", data=STOCK, actor="tests", now=NOON)


def test_an_order_whose_message_would_be_empty_is_refused(
    session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any],
    tell: Callable[..., Any],
) -> None:  # fmt: skip
    people("ada")
    template(
        "shipped", category="utility", utility_name="shipped", utility_approved=True,
        bodies={"en": {"text": "Sent", "parameters": {"carrier": "{{ order.carrier }}"}}},
    )  # fmt: skip
    set_recipe(session, page, "order.shipped", template="shipped", actor="tests", now=NOON)
    with pytest.raises(Invalid, match="carrier: nothing is left") as refused:
        tell("order.shipped", "k", {"order": "7", "psid": "ada"})
    assert refused.value.field == "data"
    assert tell("order.shipped", "k", {"order": "7", "psid": "ada", "carrier": "DHL"})[1]


def test_recipes_are_replaced_and_checked(
    session: Session, page: Page, recipes: None, template: Callable[..., Any]
) -> None:
    newer = template("stock", "{{ product.name }} came back")
    set_recipe(session, page, "product.back_in_stock", template="stock", actor="tests", now=NOON)
    assert get_recipe(session, page, "product.back_in_stock").template_id == newer.id
    with pytest.raises(NotFound):
        get_recipe(session, page, "order.lost")
    for change, field in (
        ({"template": "nosuch"}, "template"),
        ({"template": "shipped"}, "template"),
        ({"expires_after_hours": 0}, "expires_after_hours"),
        ({"expires_after_hours": 721}, "expires_after_hours"),
    ):
        with pytest.raises(Invalid) as refused:
            set_recipe(
                session, page, "product.back_in_stock", **({"template": "stock"} | change), actor="tests", now=NOON
            )
        assert refused.value.field == field


@pytest.mark.parametrize("sku", ["", "  ", "x" * 201, "a\x00b"])
def test_an_unusable_sku_is_refused(
    session: Session, page: Page, people: Callable[..., dict[str, int]], sku: str
) -> None:
    ada = people("ada")["ada"]
    assert page.id is not None
    with pytest.raises(Invalid):
        ask_back_in_stock(session, ada, page.id, sku, NOON, NOON)
