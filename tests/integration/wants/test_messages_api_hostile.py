"""What no client in its right mind sends: half surrogates, NULs, numbers without end, Liquid that never stops."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler.access.keys import create_key
from scheduler.store import database
from tests.integration.noon import NOON

BASE = "/pages/555"
HALF = "\ud800"
TEMPLATE: dict[str, Any] = {
    "name": "promo",
    "category": "promotional",
    "default_locale": "en",
    "bodies": {"en": {"text": "x"}},
}
CAMPAIGN: dict[str, Any] = {"name": "x", "template": "promo", "audience": "everyone"}


def body(**change: Any) -> dict[str, Any]:
    return TEMPLATE | {"bodies": {"en": {"text": "x", **change}}}


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        (f"{BASE}/templates", TEMPLATE | {"name": HALF}, "name"),
        (f"{BASE}/templates", TEMPLATE | {"tag": HALF}, "tag"),
        (f"{BASE}/templates", TEMPLATE | {"bodies": {HALF: {"text": "x"}}}, "bodies.\\ud800"),
        (f"{BASE}/templates", body(text=HALF), "bodies.en.text"),
        (f"{BASE}/templates", body(**{HALF: 1}), "bodies.en.\\ud800"),
        (f"{BASE}/templates", body(parameters={"a": [{"b": HALF}]}), "bodies.en.parameters.a.b"),
        (f"{BASE}/templates", body(text="{% if true %}" * 300 + "x" + "{% endif %}" * 300), "bodies.en.text"),
        (f"{BASE}/templates", body(text="{{ " + "(" * 3000), "bodies.en.text"),
        (f"{BASE}/campaigns", CAMPAIGN | {"template": HALF}, "template"),
        (f"{BASE}/campaigns", CAMPAIGN | {"template": "a\x00b"}, "template"),
        (f"{BASE}/campaigns", CAMPAIGN | {"audience": [HALF]}, "audience"),
        (f"{BASE}/events", {"kind": HALF, "key": "k", "data": {}}, "kind"),
        (f"{BASE}/events", {"kind": "order.shipped", "key": "k", "data": {"order": HALF}}, "data.order"),
        (f"{BASE}/events", {"kind": "order.shipped", "key": "a\x00b", "data": {}}, "key"),
        ("/kill-switch", {"why": "x", "page": HALF}, "page"),
    ],
)
def test_hostile_bodies_are_refused_by_field(
    client: TestClient, page: Any, rows: Callable[..., list[Any]], path: str, given: Any, field: str
) -> None:
    with database.session() as session:
        key = create_key(session, "tests", now=NOON)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    # The client's own encoder would refuse half a surrogate pair; json.dumps escapes it.
    answer = client.post(f"/api/v1{path}", content=json.dumps(given), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["errors"][0]["way_out"]
    for table in ("template", "campaign", "business_event", "kill_switch"):
        assert rows(f"SELECT 1 FROM {table}") == []


@pytest.mark.parametrize(
    "path",
    [
        "/messages?reason=%00",
        "/messages?page=%00",
        "/messages?campaign=9223372036854775808",
        "/messages/9223372036854775808",
        "/campaigns/9223372036854775808",
        f"{BASE}/templates/%00",
        f"{BASE}/templates/%ED%A0%80",
    ],
)
def test_hostile_addresses_are_client_errors(api: Callable[..., Any], page: Any, path: str) -> None:
    answer = api("GET", path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
