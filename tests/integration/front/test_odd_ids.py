"""Ids that no address could name: nobody gets one, by whatever way they come."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.store import database

_ODD = ["a/b", "a?b", "100%", "..", "a b", "x" * 129]


@pytest.mark.parametrize("psid", _ODD)
def test_whoever_writes_under_such_an_id_is_not_met_and_the_event_is_kept(
    page: Any, deliver: Any, say: Any, row: Any, psid: str
) -> None:
    assert deliver(say(psid, "STOP"), say("7", "hello")).json() == {"received": 2, "known": 0, "failed": 1}
    assert row("SELECT array_agg(psid) FROM contact")[0] == ["7"]
    kept = row("SELECT error FROM platform_event WHERE error IS NOT NULL")
    assert "id" in kept[0] or "person" in kept[0]


def test_who_has_such_an_id_from_before_is_held_by_what_cannot_be_applied(
    page: Any, deliver: Any, say: Any, row: Any
) -> None:
    with Session(database.engine()) as session:
        session.execute(
            text("INSERT INTO contact (page_id, psid, created_at) VALUES (:page, 'a/b', 0)"), {"page": page.id}
        )
        session.commit()
    assert deliver(say("a/b", "STOP")).json()["failed"] == 1
    assert row("SELECT held_at IS NOT NULL FROM contact WHERE psid = 'a/b'")[0]


@pytest.mark.parametrize("psid", ["a%2Fb", "a%3Fb", "100%25", "%2E%2E", "a%20b", ".7"])
def test_no_address_makes_one(page: Any, api: Any, row: Any, psid: str) -> None:
    for method, rest, body in (
        ("PUT", "", {"name": "Ana"}), ("PATCH", "", {"name": "Ana"}), ("POST", "/opt-out", {}), ("GET", "", None),
    ):  # fmt: skip
        assert api(method, f"/pages/{page.external_id}/contacts/{psid}{rest}", body).status_code in (404, 405, 422)
    assert row("SELECT count(*) FROM contact")[0] == 0


@pytest.mark.parametrize("psid", ["a/b", "..", "a%b"])
def test_no_event_of_the_shop_and_no_list_has_one(page: Any, api: Any, row: Any, psid: str) -> None:
    event = {"kind": "order.shipped", "key": "1", "data": {"order": "1", "psid": psid}}
    assert api("POST", f"/pages/{page.external_id}/events", event).status_code == 422
    assert api("PATCH", f"/pages/{page.external_id}", {"allow": [psid]}).status_code == 422
    assert api("POST", "/pages", {"external_id": psid}).status_code == 422
    api("PUT", f"/pages/{page.external_id}/contacts/7", {"name": "Ana"})
    assert api("POST", f"/pages/{page.external_id}/contacts/7/merge", {"into": psid}).status_code == 422
    assert row("SELECT count(*) FROM contact")[0] == 1
