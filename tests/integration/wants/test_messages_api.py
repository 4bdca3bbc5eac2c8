from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from scheduler.campaigns.planning import plan_next
from scheduler.followups.planning import plan_next_event
from scheduler.store import database
from tests.integration.noon import HOUR, NOON

BASE = "/pages/555"
TEMPLATE = {
    "name": "promo",
    "category": "promotional",
    "default_locale": "en",
    "bodies": {"en": {"text": "Hello {{ contact.first_name }}!"}},
}


def plan_all() -> None:
    again = True
    while again:
        with database.session() as session:
            again = plan_next(session, NOON)
        with database.session() as session:
            again = plan_next_event(session, NOON) or again


@pytest.fixture
def crowd(people: Callable[..., dict[str, int]]) -> None:
    people("berlin")
    people("tokyo", timezones=["Asia/Tokyo"])
    people("closed", last_inbound_at=NOON - 25 * HOUR)


@pytest.fixture
def launched(api: Callable[..., Any], crowd: None) -> int:
    """A campaign that was made, previewed, launched and planned through the API."""
    assert api("POST", f"{BASE}/templates", TEMPLATE).status_code == 201
    made = api("POST", f"{BASE}/campaigns", {"name": "Spring", "template": "promo", "audience": "everyone"})
    assert (made.status_code, made.json()["status"]) == (201, "draft")
    campaign: int = made.json()["id"]
    seen = api("POST", f"/campaigns/{campaign}/preview").json()
    assert (seen["now"], seen["later"], seen["waiting"], seen["never"]) == (1, 1, 1, 0)
    assert seen["reasons"] == {"later": {"quiet_hours": 1}, "waiting": {"window_closed": 1}, "never": {}}
    assert (seen["waits_for"], seen["waits_until"]) == ({"inbound": 1}, "2026-06-04T12:00:00Z")
    assert seen["by_hour"] == [
        {"hour": "2026-05-05T12:00:00Z", "count": 1},
        {"hour": "2026-05-05T23:00:00Z", "count": 1},
    ]
    assert {sample["psid"] for sample in seen["samples"]} == {"berlin", "tokyo", "closed"}
    answer = api("POST", f"/campaigns/{campaign}/launch")
    assert (answer.status_code, answer.json()["status"]) == (200, "planning")
    assert (answer.json()["may_wait"], answer.json()["expires_at"]) == (True, "2026-06-04T12:00:00Z")
    assert api("POST", f"/campaigns/{campaign}/launch").status_code == 409
    plan_all()
    return campaign


def test_a_campaign_from_draft_to_its_messages(api: Callable[..., Any], launched: int) -> None:
    shown = api("GET", f"/campaigns/{launched}").json()
    assert (shown["status"], shown["states"]) == ("running", {"scheduled": 3})
    assert shown["reasons"] == {"scheduled": {"quiet_hours": 1, "window_closed": 1}}
    assert shown["waits_for"] == {"inbound": 1}
    assert (shown["page"], shown["template"], shown["launched_at"]) == ("555", "promo", "2026-05-05T12:00:00Z")
    listed = api("GET", "/campaigns", page="555").json()
    assert [each["id"] for each in listed["items"]] == [launched]
    assert api("POST", f"/campaigns/{launched}/pause").json()["status"] == "paused"
    assert api("POST", f"/campaigns/{launched}/resume").json()["status"] == "running"
    cancelled = api("POST", f"/campaigns/{launched}/cancel").json()
    assert (cancelled["status"], cancelled["states"]) == ("cancelled", {"cancelled": 3})


def test_messages_are_listed_and_counted(api: Callable[..., Any], launched: int) -> None:
    first = api("GET", "/messages", limit=2, campaign=launched).json()
    rest = api("GET", "/messages", limit=2, campaign=launched, cursor=first["next_cursor"]).json()
    assert [each["psid"] for each in first["items"] + rest["items"]] == ["closed", "tokyo", "berlin"]
    assert rest["next_cursor"] is None
    late = api("GET", "/messages", state="scheduled", reason="quiet_hours", page="555").json()["items"]
    assert [(each["psid"], each["due_at"]) for each in late] == [("tokyo", "2026-05-05T23:00:00Z")]
    counted = api("GET", "/messages/summary").json()
    assert counted["states"] == {"scheduled": 3}
    assert counted["reasons"] == {"scheduled": {"quiet_hours": 1, "window_closed": 1}}
    assert (counted["sent_last_minute"], counted["sent_per_second"]) == (0, 0)
    assert counted["deferred"] == {"quiet_hours": 1, "window_closed": 1}
    assert api("GET", "/messages/summary", campaign=launched, page="555").json() == counted
    assert api("GET", "/messages/summary", campaign=launched + 1).json()["states"] == {}


def test_a_message_explains_its_decisions(api: Callable[..., Any], launched: int) -> None:
    by_psid = {each["psid"]: each["id"] for each in api("GET", "/messages").json()["items"]}
    story = api("GET", f"/messages/{by_psid['tokyo']}").json()
    assert (story["contact"]["timezones"], story["attempts"], story["variables"]) == (["Asia/Tokyo"], [], {})
    (arrow,) = story["log"]
    assert (arrow["from_state"], arrow["to_state"], arrow["actor"]) == (None, "scheduled", "planner")
    assert (arrow["verdict"], arrow["until"], arrow["because"]) == ("defer", "2026-05-05T23:00:00Z", ["quiet_hours"])
    assert arrow["facts"]["timezones"] == ["Asia/Tokyo"]
    findings = {finding["rule"]: finding for finding in arrow["findings"]}
    night, window = findings["quiet_hours"], findings["messaging_window"]
    assert (night["permits_now"], night["next_at"]) == (False, "2026-05-05T23:00:00Z")
    assert "21:00" in night["words"] or "08:00" in night["words"]
    assert (night["clause"], night["binds"]) == ("permitted_hours.house", "house")
    assert (window["clause"], window["binds"]) == ("platform.standard_window", "platform")
    assert window["permits_now"]
    waiting = api("GET", f"/messages/{by_psid['closed']}").json()["log"][0]
    closed = {finding["rule"]: finding for finding in waiting["findings"]}["messaging_window"]
    assert (waiting["verdict"], closed["permits_now"], closed["next_at"]) == ("defer", False, None)


def test_a_launched_campaign_is_not_looked_ahead_to(api: Callable[..., Any], launched: int) -> None:
    refused = api("POST", f"/campaigns/{launched}/preview")
    assert refused.status_code == 409
    assert f"`duly campaign show {launched}`" in refused.json()["way_out"]


def test_a_decision_is_explained_by_the_facts_of_then(
    api: Callable[..., Any], launched: int, session: Session, rows: Callable[..., list[Any]]
) -> None:
    message = next(each for each in api("GET", "/messages").json()["items"] if each["psid"] == "tokyo")
    rows("UPDATE contact SET timezones = '{Europe/Berlin}', last_inbound_at = 1 WHERE psid = 'tokyo' RETURNING id")
    session.commit()
    arrow = api("GET", f"/messages/{message['id']}").json()["log"][0]
    assert {finding["rule"] for finding in arrow["findings"] if not finding["permits_now"]} == {"quiet_hours"}


def test_events_and_recipes(api: Callable[..., Any], crowd: None) -> None:
    stock = TEMPLATE | {"name": "stock", "bodies": {"en": {"text": "{{ product.name }} is back"}}}
    assert api("POST", f"{BASE}/templates", stock).status_code == 201
    event = {"kind": "product.back_in_stock", "key": "r1", "data": {"sku": "x", "name": "X"}}
    assert api("POST", f"{BASE}/events", event).status_code == 409
    recipe = api("PUT", f"{BASE}/recipes/product.back_in_stock", {"template": "stock", "expires_after_hours": 24})
    assert recipe.json() == {
        "kind": "product.back_in_stock", "template": "stock", "template_version": 1, "expires_after_hours": 24,
    }  # fmt: skip
    assert api("GET", f"{BASE}/recipes").json()["items"] == [recipe.json()]
    first = api("POST", f"{BASE}/events", event)
    second = api("POST", f"{BASE}/events", event)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json()
    other = api("POST", f"{BASE}/events", event | {"data": {"sku": "y", "name": "X"}})
    assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "key")
    assert "differs in sku" in other.json()["detail"]
    plan_all()
    assert api("POST", f"{BASE}/events", event).json()["planned_at"] == "2026-05-05T12:00:00Z"
    assert api("GET", "/messages").json()["items"] == []


def test_kill_switches(api: Callable[..., Any], crowd: None) -> None:
    one = api("POST", "/kill-switch", {"page": "555", "why": "a wrong price"})
    everything = api("POST", "/kill-switch", {"why": "everything"})
    assert (one.status_code, one.json()["page"], everything.json()["page"]) == (201, "555", None)
    assert api("GET", "/kill-switch").json()["items"] == [one.json(), everything.json()]
    released = api("DELETE", f"/kill-switch/{one.json()['id']}")
    assert (released.status_code, released.json()["released_at"]) == (200, "2026-05-05T12:00:00Z")
    assert api("DELETE", f"/kill-switch/{one.json()['id']}").status_code == 409
    assert api("DELETE", "/kill-switch/99").status_code == 404
    assert api("POST", "/kill-switch", {"page": "nosuch", "why": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"{BASE}/templates", TEMPLATE | {"tag": "ACCOUNT_UPDATE"}, "tag"),
        (f"{BASE}/templates", TEMPLATE | {"messaging_type": "MESSAGE_TAG"}, "messaging_type"),
        (f"{BASE}/templates", TEMPLATE | {"bodys": {}}, "bodys"),
        (f"{BASE}/templates", TEMPLATE | {"bodies": {"en": {"text": "{{ foo }}"}}}, "bodies.en.text"),
        (f"{BASE}/templates", TEMPLATE | {"bodies": {"en": {"text": "x" * 2000}}}, "bodies.en.text"),
        (f"{BASE}/templates", TEMPLATE | {"bodies": {"en": {"text": "a\x00b"}}}, "bodies.en.text"),
        (f"{BASE}/templates", TEMPLATE | {"bodies": 5}, "bodies"),
        (f"{BASE}/campaigns", {"name": "x", "template": "promo", "audience": "everyone", "tag": "X"}, "tag"),
        (f"{BASE}/campaigns", {"name": "x", "template": "promo", "audience": ["nobody"]}, "audience"),
        (f"{BASE}/campaigns", {"name": "x", "template": "nosuch", "audience": "everyone"}, "template"),
        (f"{BASE}/campaigns", {"name": "x", "template": "promo", "audience": "everyone", "expires_at": "soon"},
         "expires_at"),
        (f"{BASE}/campaigns", {"template": "promo", "audience": "everyone"}, "name"),
        (f"{BASE}/events", {"kind": "x", "key": "k", "data": {}}, "kind"),
        (f"{BASE}/events", {"kind": "order.shipped", "key": "k", "data": {}, "message_tag": "X"}, "message_tag"),
        ("/kill-switch", {"why": ""}, "why"),
        ("/kill-switch", {"why": "x", "pages": []}, "pages"),
    ],
)  # fmt: skip
def test_bad_input_names_the_field_and_the_way_out(
    api: Callable[..., Any], crowd: None, rows: Callable[..., list[Any]], path: str, body: Any, field: str
) -> None:
    api("POST", f"{BASE}/templates", TEMPLATE)
    answer = api("POST", path, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["way_out"]
    for table in ("campaign", "audience_member", "business_event", "message", "kill_switch"):
        assert rows(f"SELECT 1 FROM {table}") == []
    assert rows("SELECT count(*) FROM template")[0][0] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/messages/999", 404),
        ("GET", "/messages/0", 422),
        ("GET", "/messages/x", 422),
        ("GET", "/messages?state=lost", 422),
        ("GET", "/messages?limit=0", 422),
        ("GET", "/messages?cursor=x", 422),
        ("GET", "/messages?page=nosuch", 404),
        ("GET", "/campaigns/999", 404),
        ("POST", "/campaigns/999/launch", 404),
        ("POST", "/campaigns/999/preview", 404),
        ("GET", f"{BASE}/templates/nosuch", 404),
        ("GET", "/pages/nosuch/templates", 404),
        ("GET", "/pages/nosuch/recipes", 404),
    ],
)
def test_what_is_not_there_is_said(api: Callable[..., Any], crowd: None, method: str, path: str, status: int) -> None:
    answer = api(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["errors"][0]["way_out"]


def test_many_campaigns_are_listed_in_as_many_queries_as_few(api: Callable[..., Any], crowd: None) -> None:
    def counted() -> int:
        statements: list[str] = []

        def note(connection: object, cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(database.engine("read"), "before_cursor_execute", note)
        try:
            assert api("GET", "/campaigns", page="555").status_code == 200
        finally:
            event.remove(database.engine("read"), "before_cursor_execute", note)
        return len(statements)

    def add(number: int) -> None:
        name = f"promo_{number}"
        assert api("POST", f"{BASE}/templates", {**TEMPLATE, "name": name}).status_code == 201
        made = api("POST", f"{BASE}/campaigns", {"name": "Spring", "template": name, "audience": "everyone"})
        assert made.status_code == 201

    add(0)
    few = counted()
    for number in range(1, 5):
        add(number)
    assert counted() == few
