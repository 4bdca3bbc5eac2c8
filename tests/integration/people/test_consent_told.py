"""What ``duly consent`` tells a person of the team."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.consent.choices import record_opt_out
from scheduler.contacts.evidence import state_zone
from tests.integration.noon import NOON


@pytest.fixture
def set_clock(set_environment: Callable[..., None]) -> Callable[[str], int]:
    """``set_clock("2027-03-01T12:00:00Z")``: the clock stands there; epoch seconds."""

    def do(instant: str) -> int:
        set_environment(DULY_CLOCK_START=instant)
        return int(datetime.fromisoformat(instant).timestamp())

    return do


def _duly(*words: str) -> str:
    found = CliRunner().invoke(app, ["consent", *words])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_topic_that_was_stopped_is_told_to_whoever_asks_about_any_message(session: Session, people: Any) -> None:
    (ana,) = people(1)
    record_opt_out(session, ana, topic="sale", source="optin", at=NOON - 5, now=NOON)
    record_opt_out(session, ana, category="utility", source="operator", at=NOON - 5, now=NOON)
    session.commit()
    told = _duly("show", "p0", "--page", "555")
    assert "nothing stands against promotional messages" in told
    assert "the person asked for no messages: no messages about sale" in told
    assert "the person asked for no messages: no utility messages" in told
    # Asked about itself, once.
    assert _duly("show", "p0", "--page", "555", "--topic", "sale").count("about sale") == 1
    # Seconds may be left out.
    assert "nothing stands against" in _duly("at", "p0", "2026-05-05T12:00Z", "--page", "555")


def test_what_a_law_widened_is_told_as_said_and_as_it_reaches(session: Session, people: Any, set_clock: Any) -> None:
    (ana,) = people(1)
    at = set_clock("2027-03-01T12:00:00Z")
    record_opt_out(session, ana, topic="sale", source="optin", at=at, now=at)
    state_zone(session, ana, ["America/Chicago"], source="optin", now=at)
    session.commit()
    told = _duly("show", "p0", "--page", "555")
    assert "the person asked for no messages: no promotional messages" in told
    assert "opt out  sale by optin" in told
    assert "opt out  sale, and with it everything, by optin" in told
