"""``duly contact``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.consent.choices import record_opt_out
from scheduler.contacts.evidence import set_offset, state_zone
from scheduler.contacts.identities import Link, link
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.records import upsert_contact
from scheduler.contacts.registry import get_contact
from tests.integration.noon import NOON


@pytest.fixture
def duly(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``duly("contact", "show", "p0")``: the command's result; its output is wide enough for a table."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, code: int = 0, typed: str | None = None) -> Any:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def known(session: Session, page: Any, people: Any) -> list[int]:
    """Two contacts; of the first much is known."""
    first, second = people(2)
    upsert_contact(
        session, page.id, "p0", changes={"name": "Ada", "country": "JP", "attributes": {"tier": "gold"}}, now=NOON
    )
    state_zone(session, first, ["Asia/Tokyo"], source="optin", now=NOON)
    set_offset(session, first, 570, NOON)
    link(session, page.id, [Link(contact_id=first, kind="phone", value="+4930901820")], NOON)
    record_inbound(session, first, NOON - 60, NOON)
    record_opt_out(session, first, topic="sales", source="operator", at=NOON, now=NOON)
    session.commit()
    return [first, second]


def test_show_tells_the_zones_and_how_they_follow(duly: Any, known: list[int]) -> None:
    shown = duly("contact", "show", "p0", "--page", "555").output
    for words in (
        "may be in Asia/Tokyo: the zone that source `optin` names; laws of JP", "opted_out (sales)", "a phone",
        "tier=gold", "+9.5 h",
    ):  # fmt: skip
        assert words in shown, words
    told = json.loads(duly("contact", "show", "p0", "--page", "555", "--json").output)
    assert told["zone_candidates"]["zones"] == ["Asia/Tokyo"]
    bare = duly("contact", "show", "p1", "--page", "555").output
    assert "nothing tells: every zone there is" in bare
    assert "no evidence of where they are" in bare
    duly("contact", "show", "nobody", "--page", "555", code=4)


def test_context_is_for_whoever_answers(duly: Any, known: list[int]) -> None:
    shown = duly("contact", "context", "p0", "--page", "555").output
    for words in ("Ada", "2026-05-05 21:00 JST", "open until 2026-05-06T11:59:00Z", "duly", "opted_out (sales)"):
        assert words in shown, words
    assert json.loads(duly("contact", "context", "p1", "--page", "555", "--json").output)["window"]["open"] is False


def test_a_merge_asks_first(session: Session, page: Any, duly: Any, known: list[int], message: Any) -> None:
    message(known[0])
    merge = ("contact", "merge", "p0", "--into", "p1", "--page", "555")
    seen = duly(*merge, "--preview").output
    assert "p1 would stand for p0" in seen
    assert "opted_out:sales" in seen
    duly(*merge, typed="n\n", code=5)
    session.expire_all()
    assert get_contact(session, page.id, "p0").merged_into is None
    done = json.loads(duly(*merge, "--yes", "--as", "mara", "--json").output)
    assert (done["changes"], len(done["moved"]), done["identities"]) == (True, 1, 1)
    session.rollback()
    assert get_contact(session, page.id, "p0").merged_into == known[1]
    assert "nothing changes" in duly(*merge).output
