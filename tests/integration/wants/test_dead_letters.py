from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.content.tables import Template
from scheduler.outbox import dead_letters
from scheduler.pages.tables import Page
from tests.integration.noon import HOUR, NOON

Bury = Callable[..., int]


@pytest.fixture
def bury(
    session: Session,
    page: Page,
    people: Callable[..., dict[str, int]],
    template: Callable[..., Template],
    rows: Callable[..., list[Any]],
) -> Bury:
    """``bury("ada", "unconfirmed", code=1)``: a dead letter to somebody new; its id."""
    saved = template()

    def make(psid: str, state: str, *, reason: str = "no_evidence", code: int | None = None, **person: Any) -> int:
        contact = people(psid, **person)[psid]
        values = {"page": page.id, "contact": contact, "template": saved.id, "state": state, "reason": reason}
        (made,) = rows(
            "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, reason, attempts, "
            "crashes, created_at, variables) VALUES (:page, :contact, :template, 'promotional', 'promotional', :state, "
            ":at, :reason, 1, 1, 0, '{}') RETURNING id",
            **values,
            at=NOON - contact,
        )
        outcome = {"refused": "refused", "unconfirmed": "unconfirmed", "dead": "in_doubt"}[state]
        rows(
            "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome, code) VALUES "
            "(:message, :contact, :page, 'promotional', :at, :outcome, :code) RETURNING id",
            message=made.id, contact=contact, page=page.id, at=NOON - 40 * 24 * HOUR, outcome=outcome, code=code,
        )  # fmt: skip
        session.commit()
        return int(made.id)

    return make


def test_dead_letters_are_grouped_by_cause(api: Callable[..., Any], bury: Bury) -> None:
    bury("ada", "unconfirmed")
    newest = bury("bob", "unconfirmed")
    bury("cleo", "refused", reason="invalid_request", code=100)
    causes = api("GET", "/dead-letters").json()["items"]
    assert [(each["state"], each["reason"], each["code"], each["count"]) for each in causes] == [
        ("unconfirmed", "no_evidence", None, 2),
        ("refused", "invalid_request", 100, 1),
    ]
    assert causes[0]["sample"] == newest
    assert causes[0]["first_seen"] < causes[0]["last_seen"]
    assert (causes[0]["page"], causes[0]["template"]) == ("555", "promo")
    first = api("GET", "/dead-letters/messages", cause=causes[0]["cause"], limit=1).json()
    rest = api("GET", "/dead-letters/messages", cause=causes[0]["cause"], cursor=first["next_cursor"]).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == [newest, newest - 1]
    assert api("GET", "/dead-letters", state="refused", page="555").json()["items"] == causes[1:]
    assert api("GET", "/dead-letters", state="sent").status_code == 422


def test_a_redrive_shows_the_verdict_and_sends_a_new_linked_message_once(
    api: Callable[..., Any], bury: Bury, rows: Callable[..., list[Any]]
) -> None:
    lost = bury("ada", "unconfirmed")
    night = bury("ken", "unconfirmed", timezones=["Asia/Tokyo"])
    gone = bury("eve", "unconfirmed", last_inbound_at=NOON - 25 * HOUR)
    (cause,) = api("GET", "/dead-letters").json()["items"]
    wish = {"cause": cause["cause"], "why": "the platform was down"}
    seen = api("POST", "/dead-letters/redrive", wish | {"dry_run": True}).json()
    assert seen["outlook"] == {
        "now": 1, "later": 1, "never": 1, "may_arrive_twice": 2,
        "reasons": {"later": {"quiet_hours": 1}, "never": {"window_closed": 1}},
    }  # fmt: skip
    assert (seen["matching"], seen["chosen"], seen["resent"]) == (3, 3, [])
    refused = api("POST", "/dead-letters/redrive", wish)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "may_arrive_twice")
    assert rows("SELECT count(*) FROM message")[0][0] == 3
    done = api("POST", "/dead-letters/redrive", wish | {"may_arrive_twice": True}).json()
    assert [each["dead_letter"] for each in done["resent"]] == [lost, night]
    again = api("POST", "/dead-letters/redrive", {"ids": [lost, night], "why": "x", "may_arrive_twice": True}).json()
    assert (again["resent"], again["resent_before"]) == ([], done["resent"])
    story = api("GET", f"/messages/{done['resent'][0]['message']}").json()
    assert (story["state"], story["resend_of"], story["log"][0]["verdict"]) == ("scheduled", lost, "send")
    assert story["log"][0]["actor"] == "tests"
    assert rows("SELECT crashes FROM message WHERE resend_of = :id", id=lost)[0][0] == 1
    # What policy forbids stays.
    assert [each["id"] for each in api("GET", "/dead-letters/messages").json()["items"]] == [gone]
    acts = rows("SELECT was, why, actor, request_id FROM dead_letter_act ORDER BY message_id")
    assert [(act.was, act.why, act.actor) for act in acts] == [("unconfirmed", "the platform was down", "tests")] * 2
    assert acts[0].request_id
    (entry,) = rows("SELECT detail FROM audit_entry WHERE action = 'dead_letter.redrive'")
    assert (entry.detail["count"], entry.detail["why"]) == (2, "the platform was down")


def test_what_policy_forbids_never_stands_before_what_it_lets_go(
    api: Callable[..., Any], bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [bury(f"eve{n}", "refused", last_inbound_at=NOON - 25 * HOUR) for n in range(3)]
    here = [bury(f"ada{n}", "refused") for n in range(3)]
    last = bury("eve9", "refused", last_inbound_at=NOON - 25 * HOUR)
    wish = {"all": True, "why": "the template is mended", "limit": 2}
    seen = api("POST", "/dead-letters/redrive", wish | {"dry_run": True}).json()
    assert (seen["matching"], seen["chosen"], seen["next_after"]) == (7, 5, here[1])
    assert (seen["outlook"]["now"], seen["outlook"]["never"]) == (2, 3)
    done = api("POST", "/dead-letters/redrive", wish).json()
    assert [each["dead_letter"] for each in done["resent"]] == here[:2]
    # The same again goes on, past the three that stay.
    again = api("POST", "/dead-letters/redrive", wish).json()
    assert [each["dead_letter"] for each in again["resent"]] == here[2:]
    assert (again["next_after"], again["matching"]) == (None, 5)
    behind = api("POST", "/dead-letters/redrive", wish | {"after": gone[2], "dry_run": True}).json()
    assert (behind["chosen"], behind["outlook"]["never"], behind["next_after"]) == (1, 1, None)
    # However many are forbidden: so many are looked at, and where to go on is said.
    monkeypatch.setattr(dead_letters, "LOOKED_AT", 2)
    monkeypatch.setattr(dead_letters, "_CHUNK", 2)
    short = api("POST", "/dead-letters/redrive", wish | {"dry_run": True}).json()
    assert (short["chosen"], short["next_after"]) == (2, gone[1])
    rest = api("POST", "/dead-letters/redrive", wish | {"dry_run": True, "after": short["next_after"]}).json()
    assert (rest["chosen"], rest["next_after"]) == (2, last)
    result = CliRunner().invoke(app, ["dead-letter", "redrive", "--all", "--why", "x", "--dry-run"])
    assert f"--after {gone[1]} goes on behind these" in result.output


def test_two_clicks_at_once_make_one_message(
    api: Callable[..., Any], bury: Bury, rows: Callable[..., list[Any]]
) -> None:
    letter = bury("ada", "refused", reason="invalid_request")
    wish = {"ids": [letter], "why": "the template is mended"}
    answers: list[Any] = []
    clicks = [
        threading.Thread(target=lambda: answers.append(api("POST", "/dead-letters/redrive", wish))) for _ in range(4)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert {answer.status_code for answer in answers} == {200}
    assert sum(len(answer.json()["resent"]) for answer in answers) == 1
    assert rows("SELECT count(*) FROM message WHERE resend_of = :id", id=letter)[0][0] == 1


def test_a_discard_is_acknowledged_with_its_reason_and_stays_in_the_record(
    api: Callable[..., Any], bury: Bury, rows: Callable[..., list[Any]]
) -> None:
    letters = [bury(name, "refused", reason="invalid_request", code=100) for name in ("ada", "bob", "cleo")]
    assert api("POST", "/dead-letters/discard", {"all": True}).status_code == 422
    wish = {"all": True, "reason": "invalid_request", "limit": 2, "why": "an old price"}
    assert api("POST", "/dead-letters/discard", wish | {"dry_run": True}).json() == {
        "dry_run": True, "matching": 3, "discarded": [],
    }  # fmt: skip
    done = api("POST", "/dead-letters/discard", wish).json()
    assert (done["matching"], done["discarded"]) == (3, letters[:2])
    assert api("POST", "/dead-letters/discard", {"ids": letters[:2], "why": "again"}).json()["discarded"] == []
    assert [each["id"] for each in api("GET", "/dead-letters/messages").json()["items"]] == letters[2:]
    assert api("GET", f"/messages/{letters[0]}").json()["state"] == "refused"
    assert len(rows("SELECT id FROM dead_letter_act WHERE act = 'discard'")) == 2
    redriven = api("POST", "/dead-letters/redrive", {"ids": letters[:1], "why": "after all"}).json()
    assert redriven["resent"] == []


@pytest.mark.parametrize(
    ("wish", "status", "field"),
    [
        ({"why": "x"}, 422, "ids"),
        ({"why": "x", "all": True, "ids": [1]}, 422, "ids"),
        ({"why": "x", "ids": [99]}, 404, "ids"),
        ({"why": "x", "ids": [-1]}, 422, "ids"),
        ({"why": " ", "all": True}, 422, "why"),
        ({"why": "x", "all": True, "limit": 0}, 422, "limit"),
        ({"why": "x", "all": True, "limits": 5}, 422, "limits"),
        ({"why": "x", "all": True, "page": "9"}, 404, None),
    ],
)
def test_what_is_not_clear_is_refused_by_name(
    api: Callable[..., Any], bury: Bury, wish: dict[str, Any], status: int, field: str | None
) -> None:
    bury("ada", "refused")
    answer = api("POST", "/dead-letters/redrive", wish)
    assert answer.status_code == status
    assert field is None or answer.json()["errors"][0]["field"] == field


def test_a_message_that_is_no_dead_letter_is_refused(
    api: Callable[..., Any], bury: Bury, rows: Callable[..., list[Any]], session: Session
) -> None:
    letter = bury("ada", "unconfirmed")
    rows("UPDATE message SET state = 'sent' WHERE id = :id RETURNING id", id=letter)
    session.commit()
    answer = api("POST", "/dead-letters/discard", {"ids": [letter], "why": "x"})
    assert "is sent, not a dead letter" in answer.json()["detail"]


def test_dead_letters_on_the_command_line(bury: Bury, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def duly(*arguments: str, code: int = 0, typed: str | None = None) -> str:
        result = CliRunner().invoke(app, ["dead-letter", *arguments], input=typed)
        assert result.exit_code == code, result.output
        return result.output

    assert "nothing needs a person" in duly("list")
    lost, other = bury("ada", "unconfirmed"), bury("bob", "refused", reason="invalid_request", code=100)
    causes = json.loads(duly("list", "--json"))
    assert [each["count"] for each in causes] == [1, 1]
    key = next(each["cause"] for each in causes if each["state"] == "unconfirmed")
    assert key in duly("list", "--state", "unconfirmed")
    assert str(lost) in duly("show", key)
    assert json.loads(duly("show", key, "--json"))[0]["id"] == lost
    assert "1 now, 0 later, 0 never" in duly("redrive", "--cause", key, "--why", "down", "--dry-run")
    warned = duly("redrive", str(lost), "--why", "down", code=1, typed="n\n")
    assert "may arrive twice" in warned
    assert "may_arrive_twice" in duly("redrive", str(lost), "--why", "down", "--yes", code=2)
    # Whoever read the warning and says yes has said it.
    assert "sent again: 1" in duly("redrive", str(lost), "--why", "down", typed="y\n")
    assert "sent again: 0; 1 had been before" in duly("redrive", str(lost), "--why", "down", "--yes")
    assert "1 of 1 would be discarded" in duly("discard", "--all", "--why", "old", "--dry-run")
    assert "discarded: 1" in duly("discard", "--all", "--why", "old", typed="y\n")
    assert json.loads(duly("discard", str(other), "--why", "old", "--yes", "--json"))["discarded"] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["redrive", "--all", "--why", "x" * 501], "why"),
        (["redrive", "--cause", "x" * 33, "--why", "x"], "cause"),
        (["redrive", "--all", "--why", "x", "--as", " ", "--yes"], "as"),
        (["discard", "--all", "--why", "x", "--reason", "x" * 65], "reason"),
        (["discard", "--all", "--why", " ", "--yes"], "why"),
        (["redrive", "--all", "--why", "x", "--reason", "nope"], "reason"),
        (["list", "--reason", "nope"], "reason"),
        (["redrive", "--all", "--why", "x", "--after", str(2**63)], "--after"),
        (["list", "--campaign", str(2**63)], "--campaign"),
    ],
)
def test_what_the_command_line_cannot_use_is_named(bury: Bury, arguments: list[str], named: str) -> None:
    bury("ada", "refused")
    result = CliRunner().invoke(app, ["dead-letter", *arguments])
    assert result.exit_code == 2, result.output
    assert f"{named}:" in result.output or f"'{named}'" in result.output


@pytest.mark.parametrize(
    "arguments", [["redrive", "--why", "x", "--cause"], ["discard", "--why", "x", "--cause"], ["show"]]
)
def test_a_cause_that_no_dead_letter_has_is_refused(bury: Bury, arguments: list[str]) -> None:
    bury("ada", "refused")
    result = CliRunner().invoke(app, ["dead-letter", *arguments, "nope"])
    assert (result.exit_code, "no dead letter has the cause `nope`" in result.output) == (4, True), result.output
