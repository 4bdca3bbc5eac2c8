"""Business events that name people, known or not yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.identities import Link, link
from scheduler.contacts.merging import merge_contacts
from scheduler.errors import Invalid
from scheduler.followups.events import receive_event
from scheduler.followups.planning import plan_next_event
from scheduler.followups.recipes import set_recipe
from scheduler.store import database
from scheduler.store.secrets import new_key
from tests.integration.noon import NOON
from tests.patience import patience


@pytest.fixture
def recipe(session: Session, page: Any, template: Any) -> None:
    """Orders that were shipped are told by approved utility content."""
    template(
        "shipped", category="utility", utility_name="shipped", utility_approved=True,
        bodies={"en": {"text": "Order {{ order.number }}", "parameters": {"number": "{{ order.number }}"}}},
    )  # fmt: skip
    set_recipe(session, page, "order.shipped", template="shipped", actor="tests", now=NOON)
    session.commit()


@pytest.fixture
def tell(session: Session, page: Any) -> Callable[..., Any]:
    """``tell("order.placed", order="7", crm_id="C-1")``: the event as it is kept."""
    keys = iter(range(1000))

    def told(kind: str, at: int = NOON, **data: str) -> Any:
        event, new = receive_event(
            session, page, kind=kind, key=f"k{next(keys)}", data=data, occurred_at=at, actor="tests", now=NOON
        )
        assert new
        session.commit()
        return event

    return told


def _plan(session: Session) -> int:
    planned = 0
    while plan_next_event(session, NOON):
        planned += 1
    session.commit()
    return planned


@pytest.mark.parametrize(
    ("kind", "value", "same"),
    [("crm_id", "C-1", "C-1"), ("phone", "+49 30 901820", "+4930901820"), ("email", "Ada@b.co", "ada@b.co")],
)
def test_an_identity_finds_the_right_person(
    session: Session, page: Any, people: Any, tell: Any, recipe: None, rows: Any, kind: Any, value: str, same: str
) -> None:
    ada, _bob = people(2)
    link(session, page.id, [Link(contact_id=ada, kind=kind, value=value)], NOON)
    event = tell("order.shipped", order="100001", **{kind: same})
    assert event.contact_id == ada
    assert _plan(session) == 1
    (sent,) = rows("SELECT contact_id, variables, event_id FROM message")
    assert (sent.contact_id, sent.event_id) == (ada, event.id)
    if kind != "crm_id":
        assert event.body == {"order": "100001"}
        assert not any("901820" in str(row) or "b.co" in str(row) for row in rows("SELECT * FROM business_event"))


def test_who_is_not_known_yet_is_waited_for(
    session: Session, page: Any, people: Any, tell: Any, recipe: None, rows: Any
) -> None:
    (ada,) = people(1)
    shipped = tell("order.shipped", order="100001", email="ada@b.co")
    tell("product.viewed", sku="red-shoe", name="Red shoe", email="ada@b.co")
    assert shipped.contact_id is None
    assert _plan(session) == 0
    assert link(session, page.id, [Link(contact_id=ada, kind="crm_id", value="C-1")], NOON).events == 0
    assert link(session, page.id, [Link(contact_id=ada, kind="email", value="ADA@b.co")], NOON).events == 2
    assert _plan(session) == 1
    assert [row.contact_id for row in rows("SELECT contact_id FROM message")] == [ada]
    signals = rows("SELECT contact_id, kind, sku, name, at FROM product_signal")
    assert [tuple(row) for row in signals] == [(ada, "viewed", "red-shoe", "Red shoe", NOON)]


def test_a_person_who_turns_up_too_late_is_denied_on_the_record(
    session: Session, page: Any, people: Any, tell: Any, recipe: None, rows: Any
) -> None:
    (ada,) = people(1)
    tell("order.shipped", at=NOON - 80 * 3600, order="100001", crm_id="C-1")
    link(session, page.id, [Link(contact_id=ada, kind="crm_id", value="C-1")], NOON)
    assert _plan(session) == 1
    assert [row.state for row in rows("SELECT state FROM message")] == ["denied"]


def test_a_changed_key_does_not_lose_who_waits(
    session: Session, page: Any, people: Any, tell: Any, set_environment: Callable[..., None]
) -> None:
    old, new = new_key(), new_key()
    (ada,) = people(1)
    set_environment(DULY_ENCRYPTION_KEY=old)
    tell("order.placed", order="100001", phone="+4930901820")
    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    assert link(session, page.id, [Link(contact_id=ada, kind="phone", value="+4930901820")], NOON).events == 1


def test_an_event_and_a_link_at_the_same_moment_never_miss_each_other(
    session: Session, page: Any, people: Any, rows: Any
) -> None:
    ids = people(8)
    barrier = threading.Barrier(16)

    def tell(n: int) -> None:
        with database.session() as own:
            barrier.wait()
            receive_event(
                own, page, kind="order.placed", key=f"r{n}", data={"order": "1", "crm_id": f"C-{n}"},
                actor="tests", now=NOON,
            )  # fmt: skip

    def name(n: int) -> None:
        with database.session() as own:
            barrier.wait()
            link(own, page.id, [Link(contact_id=ids[n], kind="crm_id", value=f"C-{n}")], NOON)

    threads = [threading.Thread(target=do, args=(n,)) for n in range(8) for do in (tell, name)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(patience(30))
    found = rows("SELECT contact_id FROM business_event ORDER BY contact_id")
    assert [row.contact_id for row in found] == ids


def test_what_is_told_of_a_merged_person_is_the_survivors(
    session: Session, page: Any, people: Any, tell: Any, rows: Any
) -> None:
    _old, new = people(2)
    before = tell("order.placed", order="1", psid="p0")
    merge_contacts(session, page.id, "p0", "p1", actor="tests", now=NOON)
    after = tell("order.placed", order="2", psid="p0")
    found = {row.id: row.contact_id for row in rows("SELECT id, contact_id FROM business_event")}
    assert found == {before.id: new, after.id: new}


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("order.placed", {"order": "1"}, "data.psid"),
        ("order.placed", {"order": "1", "psid": "p0", "email": "a@b.co"}, "data.email"),
        ("order.placed", {"order": "1", "psid": "nobody"}, "data.psid"),
        ("order.placed", {"order": "1", "phone": "030 1"}, "data.phone"),
        ("product.viewed", {"psid": "p0"}, "data.sku"),
        ("product.viewed", {"psid": "p0", "sku": "s", "colour": "red"}, "data.colour"),
        ("product.back_in_stock", {"sku": "s", "name": "n", "psid": "p0"}, "data.psid"),
        ("order.eaten", {}, "kind"),
    ],
)
def test_what_cannot_be_meant_is_refused(tell: Any, people: Any, kind: str, data: dict[str, str], field: str) -> None:
    people(1)
    with pytest.raises(Invalid) as refused:
        tell(kind, **data)
    assert refused.value.field == field


def test_what_sends_nothing_needs_no_recipe_and_no_plan(session: Session, people: Any, tell: Any) -> None:
    people(1)
    assert tell("product.carted", sku="red-shoe", psid="p0").planned_at == NOON
    assert _plan(session) == 0
