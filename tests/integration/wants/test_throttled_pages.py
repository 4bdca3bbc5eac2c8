"""A page that the platform has wait: shown with until when and why, and an operator can end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.pages.tables import Page
from workers.send_api.throttle import Throttle


@pytest.fixture
def throttle(redis_url: str) -> Iterator[Throttle]:
    with redis.Redis.from_url(redis_url) as server:
        yield Throttle(server)


def _may_send(throttle: Throttle, page: Page) -> bool:
    assert page.id is not None
    return page.id not in throttle.reserve("utility", {page.id: (39, 1)}).shut


def _acts(session: Session) -> list[Any]:
    session.rollback()
    rows = session.execute(text("SELECT actor, subject FROM audit_entry WHERE action = 'page.end_wait' ORDER BY id"))
    return [tuple(row) for row in rows]


def test_a_long_wait_needs_a_person_and_a_short_one_does_not(
    client: TestClient, api: Callable[..., Any], page: Page, throttle: Throttle
) -> None:
    assert page.id is not None
    throttle.close(page.id, 120, why="rate_limited")
    seen = api("GET", "/ops/status").json()
    [state] = seen["pages"]
    assert (state["throttled_because"], 100 < state["throttled_for"] <= 120) == ("rate_limited", True)
    assert "page_throttled" not in [alert["kind"] for alert in seen["alerts"]]
    throttle.close(page.id, 7200, why="near_the_limit")
    [alert] = [each for each in api("GET", "/ops/status").json()["alerts"] if each["kind"] == "page_throttled"]
    assert alert["page"] == page.external_id
    assert "near_the_limit" in alert["words"]
    shown = CliRunner().invoke(app, ["ops", "status"]).output
    assert "nothing needs a person" not in shown
    assert "has it wait until" in " ".join(shown.split())


@pytest.mark.parametrize("door", ["cli", "api"])
def test_an_operator_ends_a_wait(
    client: TestClient, api: Callable[..., Any], page: Page, throttle: Throttle, session: Session, door: str
) -> None:
    assert page.id is not None

    def end() -> None:
        if door == "cli":
            done = CliRunner().invoke(app, ["page", "restore", page.external_id])
            assert done.exit_code == 0, done.output
        else:
            assert api("PATCH", f"/pages/{page.external_id}", {"throttled": False}).status_code == 200

    end()
    assert _acts(session) == []
    throttle.close(page.id, 7200, why="rate_limited")
    assert not _may_send(throttle, page)
    end()
    assert _may_send(throttle, page)
    assert [subject for _, subject in _acts(session)] == [f"page:{page.external_id}"]
    assert api("GET", "/ops/status").json()["pages"] == []
