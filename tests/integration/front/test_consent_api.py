"""Consent over REST and on the command line: was this send consented at 14:02?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlmodel import Session
from typer.testing import CliRunner

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.main import app
from scheduler.consent.choices import record_opt_out
from scheduler.consent.grants import Grant, record_grants
from scheduler.consent.review import Suggestion, suggest
from scheduler.contacts.registry import ensure_contacts
from scheduler.outbox.begin import begin
from scheduler.store import database
from tests.unit.delivery.stage import NOON, Stage

PAGE = "100200300400"
BASE = f"/pages/{PAGE}/contacts/ana"
YES = "Yes, write to me about offers."


@pytest.fixture
def ana(page: Any) -> int:
    with database.session() as session:
        return ensure_contacts(session, page.id, ["ana"], clock.now())["ana"]


def _cli(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def test_a_grant_is_kept_with_how_when_and_the_words_and_proves_itself(ana: int, api: Any, row: Any) -> None:
    now = clock.now()
    given = {
        "topic": "sale", "kind": "express", "source": "api", "wording": YES, "evidence": "form 7, entry 12",
        "granted_at": format_instant(now - 600), "expires_at": format_instant(now + 86_400),
    }  # fmt: skip
    made = api("POST", f"{BASE}/consents", given)
    assert made.status_code == 201, made.text
    record_id = made.json()["record_id"]
    told = api("GET", f"{BASE}/consent?topic=sale").json()
    assert (told["barred"], told["bars"], told["hindsight"]) == (None, [], None)
    (consent,) = told["consents"]
    assert consent == {
        "topic": "sale", "kind": "express", "granted_at": given["granted_at"], "expires_at": given["expires_at"],
        "record_id": record_id, "covers": True,
    }  # fmt: skip
    (record,) = told["records"]
    assert (record["wording"], record["evidence"], record["actor"], record["source"]) == (
        YES, "form 7, entry 12", "tests", "api",
    )  # fmt: skip
    # The same words are one wording, and may be named by their version.
    again = api("POST", f"{BASE}/consents", {**given, "topic": None, "wording": f"sha256:{record['wording_version']}"})
    assert again.status_code == 201
    assert row("SELECT count(*) FROM consent_wording")[0] == 1
    assert not api("GET", f"{BASE}/consent?topic=other").json()["consents"][1]["covers"]
    assert row("SELECT count(*) FROM audit_entry WHERE action = 'consent.grant'")[0] == 2


def test_no_consent_without_how_when_and_the_words(ana: int, api: Any) -> None:
    for missing in ("source", "wording", "granted_at", "kind"):
        given = {"kind": "express", "source": "api", "wording": YES, "granted_at": format_instant(clock.now())}
        del given[missing]
        refused = api("POST", f"{BASE}/consents", given)
        assert refused.status_code == 422, missing
        assert missing in refused.text


def test_a_grant_that_cannot_be_kept_names_the_field(ana: int, api: Any, row: Any) -> None:
    for field, wrong in (
        ("granted_at", "2999-01-01T00:00:00Z"), ("expires_at", "1999-01-01T00:00:00Z"), ("wording", "   "),
        ("wording", "sha256:beef"), ("kind", "perhaps"), ("source", "send_error"), ("sorce", "api"),
        ("evidence", "x" * 501), ("topic", "a\x00b"),
    ):  # fmt: skip
        given = {"kind": "express", "source": "api", "wording": YES, "granted_at": format_instant(clock.now())}
        refused = api("POST", f"{BASE}/consents", given | {field: wrong})
        assert refused.status_code in (404, 422), (field, wrong)
        assert field in refused.text
    assert row("SELECT count(*) FROM consent_record")[0] == 0


def test_what_is_taken_back_ends_then_and_not_before(ana: int, api: Any) -> None:
    now = clock.now()
    given = {"kind": "express", "source": "api", "wording": YES, "granted_at": format_instant(now - 600)}
    api("POST", f"{BASE}/consents", given)
    back = {"source": "api", "evidence": "a call", "at": format_instant(now - 60)}
    assert api("POST", f"{BASE}/consents/withdraw", back).status_code == 201
    assert api("GET", f"{BASE}/consent").json()["consents"] == []
    assert api("POST", f"{BASE}/consents/withdraw").status_code == 201


def test_what_was_known_then_is_told_apart_from_what_is_known_now(ana: int, api: Any, session: Session) -> None:
    now = clock.now()
    # Said at 14:02, told to us at 14:10.
    said, told = now - 600, now - 120
    record_opt_out(session, ana, source="message", event_id=None, evidence="late", at=said, now=told)
    session.commit()
    between = format_instant(now - 300)
    found = api("GET", f"{BASE}/consent?at={between}").json()
    assert found["barred"] is None
    assert found["hindsight"]["barred"]["reason"] == "opted_out"
    assert [each["known"] for each in found["records"]] == [False]
    after = api("GET", f"{BASE}/consent?at={format_instant(told)}").json()
    assert (after["barred"]["reason"], after["hindsight"]) == ("opted_out", None)
    assert api("GET", f"{BASE}/consent?at={format_instant(said - 1)}").json()["records"] == []
    assert json.loads(_cli("consent", "at", "ana", between, "--page", PAGE, "--json")) == found
    assert "not known then" in _cli("consent", "at", "ana", between, "--page", PAGE)
    assert "no promotional messages" in _cli("consent", "show", "ana", "--page", PAGE)


def test_a_message_tells_what_stood_when_it_went(api: Any, session: Session) -> None:
    stage = Stage(session)
    contact = stage.contact()
    message, never = stage.message(contact), stage.message(stage.contact(inbound=0))
    grant = Grant(contact_id=contact, kind="express", source="api", wording=YES, granted_at=NOON - 60)
    record_grants(session, [grant], NOON - 50)
    (begun,) = begin(session, "promotional", {stage.page: 10}, NOON)
    record_opt_out(session, contact, source="message", at=NOON + 1, now=NOON + 1)
    session.commit()
    proof = api("GET", f"/messages/{message}/consent").json()
    assert proof["psid"] == stage.psid(contact)
    (attempt,) = proof["attempts"]
    assert (attempt["attempt_id"], attempt["outcome"]) == (begun.attempt_id, "sending")
    assert (attempt["barred"], attempt["hindsight"], attempt["at"]) == (None, None, format_instant(NOON))
    assert [(each["kind"], each["covers"]) for each in attempt["consents"]] == [("express", True)]
    assert [each["action"] for each in attempt["records"]] == ["granted"]
    assert {each["rule"]: each["permits_now"] for each in attempt["findings"]} == {"suppression": True, "consent": True}
    assert "express consent" in _cli("consent", "message", str(message))
    assert json.loads(_cli("consent", "message", str(message), "--json")) == proof
    assert api("GET", f"/messages/{never}/consent").json()["attempts"] == []
    assert "was ever sent" in _cli("consent", "message", str(never))


def test_the_team_opts_somebody_out_and_in_on_the_command_line(ana: int, row: Any) -> None:
    of = ("ana", "--page", PAGE, "--as", "mia")
    assert "no messages about sale" in _cli("consent", "opt-out", *of, "--topic", "sale", "--evidence", "a call")
    _cli("consent", "opt-out", *of, "--category", "gossip", code=2)
    _cli("consent", "opt-out", "nobody", "--page", PAGE, code=4)
    assert "asked for no messages: no promotional messages about sale" in _cli(
        "consent", "show", "ana", "--page", PAGE, "--topic", "sale"
    )
    assert "no opt-out that it lifts" in _cli("consent", "opt-in", *of, "--topic", "news")
    assert "an opt-out ended" in _cli("consent", "opt-in", *of, "--topic", "sale")
    assert row("SELECT source, evidence, actor FROM consent_record ORDER BY id LIMIT 1") == (
        "operator",
        "a call",
        "mia",
    )
    assert row("SELECT count(*) FROM audit_entry WHERE actor = 'mia'")[0] == 3


def test_near_misses_over_rest(api: Any, session: Session) -> None:
    stage = Stage(session)
    people = [stage.contact() for _ in range(3)]
    said = [
        Suggestion(contact_id=one, event_id=None, meaning="opt_out", phrase="unsubscribe", at=NOON) for one in people
    ]
    suggest(session, said, NOON)
    session.commit()
    first = api("GET", "/consent/reviews?limit=2").json()
    rest = api("GET", f"/consent/reviews?limit=2&cursor={first['next_cursor']}").json()
    listed = [each["id"] for each in first["items"] + rest["items"]]
    assert (len(listed), rest["next_cursor"]) == (3, None)
    assert api("POST", f"/consent/reviews/{listed[0]}", {"decision": "gossip"}).status_code == 422
    judged = api("POST", f"/consent/reviews/{listed[0]}", {"decision": "opt_out"}).json()
    assert (judged["decision"], judged["decided_by"]) == ("opt_out", "tests")
    assert api("POST", f"/consent/reviews/{listed[0]}", {"decision": "nothing"}).status_code == 409
    assert api("POST", "/consent/reviews/999999", {"decision": "nothing"}).status_code == 404
    assert [each["id"] for each in api("GET", "/consent/reviews?decided=true").json()["items"]] == [listed[0]]
    assert len(api("GET", "/consent/reviews?page=1001").json()["items"]) == 2


def test_questions_that_cannot_be_answered(ana: int, api: Any) -> None:
    assert api("GET", f"{BASE}/consent?at=2999-01-01T00:00:00Z").status_code == 422
    assert api("GET", f"{BASE}/consent?at=yesterday").status_code == 422
    assert api("GET", f"{BASE}/consent?category=gossip").status_code == 422
    assert api("GET", f"/pages/{PAGE}/contacts/nobody/consent").status_code == 404
    assert api("GET", "/messages/123/consent").status_code == 404
    _cli("consent", "at", "ana", "noon", "--page", PAGE, code=2)
    _cli("consent", "show", "ana", "--page", PAGE, "--category", "gossip", code=2)
    _cli("consent", "show", "nobody", "--page", PAGE, code=4)


def test_a_yes_of_the_future_is_refused_and_a_stop_counts_as_of_now(ana: int, api: Any) -> None:
    stopped = api("POST", f"{BASE}/opt-out", {"at": "2099-01-01T00:00:00Z", "source": "api"})
    assert stopped.status_code == 200
    (bar,) = stopped.json()["suppressions"]
    assert bar["since"] < "2099"
    refused = api("POST", f"{BASE}/opt-in", {"at": "2099-01-01T00:00:00Z", "source": "api"})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    told = refused.json()
    assert (told["detail"], told["errors"][0]["field"]) == ("at: is in the future", "at")
    assert told["way_out"]
    assert api("GET", BASE).json()["suppressions"] == [bar]


def test_the_ledger_of_a_merged_address_names_who_stands_for_the_person(ana: int, api: Any) -> None:
    api("PUT", f"/pages/{PAGE}/contacts/ana-new", {"name": "Ana"})
    api("POST", f"{BASE}/opt-out", {"topic": "sale"})
    assert api("GET", f"{BASE}/consent").json()["merged_into"] is None
    assert api("POST", f"{BASE}/merge", {"into": "ana-new"}).json()["stricter"] == ["opted_out:sale"]
    proof = api("GET", f"{BASE}/consent", params={"topic": "sale"}).json()
    assert (proof["merged_into"], proof["barred"]["topic"]) == ("ana-new", "sale")
    assert "was merged into ana-new" in _cli("consent", "show", "ana", "--page", PAGE)


def test_a_page_says_how_it_confirms_and_how_far_a_stop_goes(ana: int, api: Any, row: Any) -> None:
    address = f"/pages/{PAGE}/consent-settings"
    assert api("GET", address).json() == {"confirmation_template": None, "opt_out_scope": "everything"}
    for name, category in (("bye", "service"), ("sale", "promotional")):
        body = {
            "name": name, "category": category, "default_locale": "en",
            "bodies": {"en": {"text": "You get no more messages from us."}},
        }  # fmt: skip
        assert api("POST", f"/pages/{PAGE}/templates", body).status_code == 201
    assert api("PUT", address, {"confirmation_template": "sale"}).status_code == 422
    assert api("PUT", address, {"confirmation_template": "none"}).status_code == 404
    assert api("PUT", address, {"opt_out_scope": "nothing"}).status_code == 422
    wanted = {"confirmation_template": "bye", "opt_out_scope": "law"}
    assert api("PUT", address, wanted).json() == wanted
    assert json.loads(_cli("consent", "settings", PAGE, "--json")) == wanted
    assert "nothing" in _cli("consent", "settings", PAGE, "--confirm-with", "", "--scope", "everything")
    assert api("GET", address).json() == {"confirmation_template": None, "opt_out_scope": "everything"}
    assert row("SELECT count(*) FROM audit_entry WHERE action = 'consent.settings'")[0] == 2
    _cli("consent", "settings", PAGE, "--scope", "nothing", code=2)
    assert "made anew for 0 people" in _cli("consent", "rebuild")
