from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.campaigns import registry
from scheduler.campaigns.planning import plan_next
from scheduler.cli.main import app
from scheduler.pages.tables import Page
from tests.integration.noon import HOUR, NOON


@pytest.fixture
def duly(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``duly("message", "list")``: the command's result; its output is wide enough for a table."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, code: int = 0, typed: str | None = None) -> Any:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def campaign(session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]) -> str:
    """The id of a draft for three people."""
    people("berlin")
    people("tokyo", timezones=["Asia/Tokyo"])
    people("closed", last_inbound_at=NOON - 25 * HOUR)
    template()
    made = registry.create_campaign(
        session, page, name="Spring", template="promo", audience="everyone", actor="tests", now=NOON
    )
    session.commit()
    return str(made.id)


def test_a_campaign_on_the_command_line(session: Session, duly: Callable[..., Any], campaign: str) -> None:
    seen = duly("campaign", "preview", campaign).output
    assert "quiet_hours 1" in seen
    assert "window_closed 1" in seen
    assert "tokyo: goes at 2026-05-05T23:00:00Z" in seen
    assert json.loads(duly("campaign", "preview", campaign, "--json").output)["now"] == 1
    duly("campaign", "launch", campaign, code=1, typed="n\n")
    launched = duly("campaign", "launch", campaign, typed="y\n")
    assert "1 now, 1 later, 1 waiting, 0 never" in launched.output
    assert (
        "launched Spring; messages to people who cannot be written to yet wait for them until 2026-06-04T12:00:00Z"
        in (launched.output)
    )
    assert f"`duly campaign show {campaign}`" in duly("campaign", "preview", campaign, code=5).output
    assert "was launched already" in duly("campaign", "launch", campaign, "--yes", code=5).output
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    assert "scheduled 3" in duly("campaign", "list").output
    shown = duly("campaign", "show", campaign).output
    assert "window_closed 1" in shown
    assert "1 waits for the person to write, at the latest until 2026-06-04T12:00:00Z" in shown
    assert json.loads(duly("campaign", "show", campaign, "--json").output)["status"] == "running"
    duly("campaign", "pause", campaign)
    duly("campaign", "resume", campaign)
    duly("campaign", "cancel", campaign, "--yes")
    assert json.loads(duly("campaign", "list", "--page", "555", "--json").output)[0]["status"] == "cancelled"
    assert "there is no campaign 99" in duly("campaign", "show", "99", code=4).output


def test_a_message_is_explained_in_sentences(session: Session, duly: Callable[..., Any], campaign: str) -> None:
    assert "no messages yet" in duly("message", "summary").output
    duly("campaign", "launch", campaign, "--yes")
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    listed = json.loads(duly("message", "list", "--json").output)
    by_psid = {row["psid"]: str(row["id"]) for row in listed}
    assert "tokyo" in duly("message", "list", "--reason", "quiet_hours").output
    assert "window_closed 1" in duly("message", "summary").output
    assert "for the person to write, until 2026-06-04T12:00Z" in duly("message", "list").output
    story = duly("message", "show", by_psid["tokyo"]).output
    assert f"message {by_psid['tokyo']}: scheduled" in story
    assert "it waits until 2026-05-05T23:00:00Z because it is night" in story
    assert "forbids quiet_hours" in story
    assert "permits messaging_window" in story
    waiting = duly("message", "show", by_psid["closed"]).output
    assert "it waits for the person to write, at the latest until 2026-06-04T12:00:00Z" in waiting
    assert "policy permits it" not in waiting
    assert "because the messaging window is closed" in waiting
    assert json.loads(duly("message", "show", by_psid["berlin"], "--json").output)["log"][0]["verdict"] == "send"
    duly("message", "show", "999", code=4)
    assert "is not a state" in duly("message", "list", "--state", "lost", code=2).output


def test_a_stored_message_or_person_is_judged_anew(session: Session, duly: Callable[..., Any], campaign: str) -> None:
    # Before anything is scheduled for them: what is would count.
    person = json.loads(duly("policy", "explain", "--contact", "555/berlin", "--json").output)
    assert person["verdict"] == "send"
    later = duly("policy", "explain", "--contact", "555/berlin", "--at", "2026-05-05T19:00:00Z").output
    assert later.startswith("defer: it may go from 2026-05-06T06:00:00Z")
    duly("campaign", "launch", campaign, "--yes")
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    messages = {row["psid"]: str(row["id"]) for row in json.loads(duly("message", "list", "--json").output)}
    told = json.loads(duly("policy", "explain", "--message", messages["tokyo"], "--guard", "--json").output)
    assert (told["verdict"], told["until"], told["policy"]) == ("defer", "2026-05-05T23:00:00Z", "default")
    bare = duly("policy", "explain", "--message", messages["tokyo"], "--policy", "platform-only").output
    assert bare.startswith("send")
    duly("policy", "explain", "--message", "999", code=4)
    duly("policy", "explain", "--contact", "555/nobody", code=4)
    duly("policy", "explain", "--contact", "berlin", code=2)
    duly("policy", "explain", "--contact", "555/berlin", "--message", "1", code=2)


def test_looking_ahead_on_the_command_line_counts_what_is_scheduled(
    session: Session, duly: Callable[..., Any], campaign: str, page: Page
) -> None:
    made = registry.create_campaign(
        session, page, name="Summer", template="promo", audience="everyone", priority=-3, actor="tests", now=NOON
    )
    session.commit()
    assert "it may go at" in duly("policy", "explain", "--contact", "555/berlin").output
    duly("campaign", "launch", campaign, "--yes")
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    seen = duly("campaign", "preview", str(made.id)).output
    assert f"2 later, waiting or never: after campaign {campaign}'s, scheduled for them already" in seen
    [berlin] = [line for line in seen.splitlines() if line.startswith("berlin:")]
    assert berlin.startswith("berlin: waits, ")
    assert berlin.endswith(f", after campaign {campaign}'s")
    assert "priority -3 among promotions" in duly("campaign", "show", str(made.id)).output
    told = duly("policy", "explain", "--contact", "555/berlin").output
    assert told.startswith("deny: it may not go")
    assert f"0 counted; campaign {campaign}'s is planned at 2026-05-05 14:00 CEST" in told
    # The message itself is in nobody's way but others'.
    [mine] = [str(row["id"]) for row in json.loads(duly("message", "list", "--json").output) if row["psid"] == "berlin"]
    assert "send: it may go at" in duly("policy", "explain", "--message", mine).output
    shown = json.loads(duly("message", "show", mine, "--json").output)
    assert shown["priority"] == 0
