from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.cli.main import app
from scheduler.facts.counting import count_messages
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.facts.radius import radius
from scheduler.governance.switches import Scope, engage
from scheduler.outbox.plan import Wish
from scheduler.pages.tables import Page
from tests.integration.noon import NOON


@pytest.fixture
def campaign(session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]) -> int:
    """A launched and planned campaign for one person who may have it now, and one in the night."""
    people("berlin")
    people("tokyo", timezones=["Asia/Tokyo"])
    template()
    made = registry.create_campaign(
        session, page, name="Spring", template="promo", audience="everyone", actor="tests", now=NOON
    )
    assert made.id is not None
    lifecycle.launch(session, made.id, actor="tests", now=NOON)
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    return made.id


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        ({}, {"promotional": True, "utility": True}),
        ({"page_id": 1}, {"promotional": True, "utility": True}),
        ({"page_id": 2}, {"promotional": False, "utility": False}),
        ({"category": "utility"}, {"promotional": False, "utility": True}),
        ({"page_id": 1, "category": "promotional"}, {"promotional": True, "utility": False}),
        ({"page_id": 2, "category": "promotional"}, {"promotional": False, "utility": False}),
    ],
)
def test_a_switch_holds_what_is_in_its_scope_alone(
    session: Session,
    make_page: Callable[..., Page],
    people: Callable[..., dict[str, int]],
    scope: dict[str, Any],
    stopped: dict[str, bool],
) -> None:
    make_page("556")
    contact = people("ada")["ada"]
    engage(session, Scope(**scope), actor="tests", why="a wrong price", now=NOON)
    facts = contact_facts(session, [contact], NOON)[contact]
    thrown = switches(session)
    for category, held in stopped.items():
        wish = Wish(page_id=1, template_id=1, category=category)
        assert for_message(facts, wish, thrown).kill_switch is held


def test_a_switch_over_a_campaign_parks_it_and_its_release_wakes_it(
    api: Callable[..., Any], campaign: int, rows: Callable[..., list[Any]], session: Session
) -> None:
    made = api("POST", "/kill-switch", {"campaign": campaign, "why": "a wrong price"})
    assert (made.status_code, made.json()["campaign"], made.json()["page"]) == (201, campaign, None)
    rows(
        "UPDATE message SET due_at = NULL, wakes_on = 'resume', reason = 'kill_switch' WHERE campaign_id = :id "
        "AND reason IS NULL RETURNING id",
        id=campaign,
    )
    session.commit()
    released = api("DELETE", f"/kill-switch/{made.json()['id']}")
    assert released.json()["released_at"] == "2026-05-05T12:00:00Z"
    session.rollback()
    # The one in its night waits for the morning as before.
    assert {row.state for row in rows("SELECT state FROM message")} == {"due", "scheduled"}


def test_the_blast_radius_is_shown_before_anything_stops(
    api: Callable[..., Any], campaign: int, rows: Callable[..., list[Any]]
) -> None:
    seen = api("GET", "/kill-switch/radius").json()
    assert seen == {
        "exact": True, "messages": 2, "waiting": {"scheduled": {"promotional": 2}}, "on_the_wire": 0,
        "campaign_count": 1, "campaigns": [{"id": campaign, "name": "Spring", "status": "running"}],
    }  # fmt: skip
    assert api("GET", "/kill-switch/radius", page="555", category="promotional").json() == seen
    assert api("GET", "/kill-switch/radius", campaign=campaign).json() == seen
    nothing = api("GET", "/kill-switch/radius", category="utility").json()
    assert (nothing["messages"], nothing["campaigns"]) == (0, [])
    assert api("GET", "/kill-switch/radius", page="9").status_code == 404
    assert api("GET", "/kill-switch/radius", campaign=99).status_code == 404
    assert api("GET", "/kill-switch/radius", category="advert").json()["errors"][0]["field"] == "category"
    both = api("POST", "/kill-switch", {"campaign": campaign, "page": "555", "why": "x"})
    assert both.json()["errors"][0]["field"] == "campaign"
    assert rows("SELECT count(*) FROM kill_switch")[0][0] == 0


def test_a_double_click_engages_one_switch(api: Callable[..., Any], page: Page) -> None:
    first = api("POST", "/kill-switch", {"category": "promotional", "why": "a wrong price"}).json()
    assert api("POST", "/kill-switch", {"category": "promotional", "why": "a wrong price"}).json() == first
    other = api("POST", "/kill-switch", {"category": "promotional", "why": "another reason"}).json()
    assert other["id"] != first["id"]


def test_what_cannot_be_counted_in_time_is_an_estimate_and_says_so(session: Session, campaign: int) -> None:
    session.execute(
        text(
            "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, due_at, attempts, "
            "crashes, created_at, variables) SELECT page_id, id, (SELECT min(id) FROM template), 'promotional', "
            "'promotional', 'due', 0, 0, 0, 0, 0, '{}' FROM contact, generate_series(1, 20000) WHERE psid = 'berlin'"
        )
    )
    session.commit()
    session.execute(text("ANALYZE message"))
    session.commit()
    groups = {"state": ("scheduled", "due"), "lane": ("promotional",)}
    exact = count_messages(session, groups, patience=30)
    assert (exact.exact, exact.of) == (True, {("scheduled", "promotional"): 2, ("due", "promotional"): 20_000})
    guessed = count_messages(session, groups, patience=0.001)
    assert not guessed.exact
    assert 15_000 < guessed.total < 25_000
    seen = radius(session, category="promotional", patience=0.001)
    assert not seen.exact
    assert 15_000 < seen.messages < 25_000
    # The limit is the count's alone.
    assert session.execute(text("SHOW statement_timeout")).scalar_one() == "0"


def test_the_switches_on_the_command_line(campaign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def duly(*arguments: str, code: int = 0, typed: str | None = None) -> str:
        result = CliRunner().invoke(app, ["ops", *arguments], input=typed)
        assert result.exit_code == code, result.output
        return result.output

    assert "no kill switch is engaged" in duly("switches")
    assert "2 messages would wait" in duly("stop", "--why", "price", "--dry-run")
    assert json.loads(duly("stop", "--why", "price", "--dry-run", "--json"))["messages"] == 2
    asked = duly("stop", "--why", "price", "--category", "promotional", code=1, typed="n\n")
    assert "of 1 campaigns" in asked
    assert "no kill switch is engaged" in duly("switches")
    assert "all promotional messages of page 555" in duly(
        "stop", "--why", "price", "--page", "555", "--category", "promotional", typed="y\n"
    )
    assert f"campaign {campaign}" in duly("stop", "--why", "price", "--campaign", str(campaign), "--yes")
    assert "2 kill switches are engaged" in duly("resume", code=4)
    (first, second) = json.loads(duly("switches", "--json"))
    assert "goes on: all promotional" in duly("resume", str(first["id"]))
    assert f"goes on: campaign {campaign}" in duly("resume")
    assert duly("resume", str(second["id"]), code=5)
    assert "0 kill switches" in duly("resume", code=4)
    # Refused before anybody is asked, and by name.
    assert "why: a reason is needed" in duly("stop", "--why", " ", code=2)
    assert "as: who does it must be named" in duly("stop", "--why", "price", "--as", "", "--yes", code=2)
    assert "'switch'" in duly("resume", str(2**40), code=2)
    assert "no kill switch is engaged" in duly("switches")
