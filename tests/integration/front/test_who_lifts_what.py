"""Each row of the tables in docs/consent.md: how far an opt-out goes, and whose word brings messages back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.consent.blocks import suppress
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.settings import Settings, change_settings
from scheduler.consent.standing import suppressions
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.registry import ensure_contacts
from scheduler.errors import Invalid
from scheduler.store import database

#: 2026-11-21, and the day on which the law of the United States goes over to everything.
NOW = 1_795_219_200
REVOKE_ALL = 1_801_353_600


@pytest.fixture
def ana(page: Any, session: Session) -> int:
    contact_id = ensure_contacts(session, page.id, ["ana"], NOW)["ana"]
    session.commit()
    return contact_id


def _standing(session: Session, contact_id: int) -> list[tuple[object, ...]]:
    return [(row["reason"], row["topic"], row["category"], row["said_by"]) for row in suppressions(session, contact_id)]


EVERYTHING: dict[str, Any] = {}
SALE: dict[str, Any] = {"topic": "sale"}
PROMOTIONS: dict[str, Any] = {"category": "promotional"}


#: Who said it, of what; who took it back, of what; whether that lifts it. Each row on a person of its own.
LIFTS: list[tuple[str, dict[str, Any], str, dict[str, Any], bool]] = [
    # A STOP, by word or button, is taken back by the person, or by whoever they told.
    ("message", EVERYTHING, "message", EVERYTHING, True),
    ("message", EVERYTHING, "postback", EVERYTHING, True),
    ("postback", EVERYTHING, "message", EVERYTHING, True),
    ("message", EVERYTHING, "operator", EVERYTHING, True),
    ("message", EVERYTHING, "api", EVERYTHING, True),
    ("api", EVERYTHING, "message", EVERYTHING, True),
    ("import", EVERYTHING, "message", EVERYTHING, True),
    # A file brings nothing back.
    ("message", EVERYTHING, "import", EVERYTHING, False),
    ("import", EVERYTHING, "import", EVERYTHING, False),
    # START brings back everything that the person stopped; a topic brings back that topic alone.
    ("message", SALE, "message", EVERYTHING, True),
    ("message", PROMOTIONS, "message", EVERYTHING, True),
    ("message", SALE, "message", SALE, True),
    ("message", SALE, "message", {"topic": "news"}, False),
    ("message", EVERYTHING, "message", SALE, False),
    ("message", EVERYTHING, "message", PROMOTIONS, False),
    ("message", PROMOTIONS, "message", PROMOTIONS, True),
    ("message", PROMOTIONS, "message", {"category": "utility"}, False),
    ("message", PROMOTIONS, "message", SALE, False),
    ("message", SALE, "message", PROMOTIONS, False),
    # What was stopped by the platform's own control goes on by it, or by somebody they told; START is not enough.
    ("optin", SALE, "optin", SALE, True),
    ("optin", SALE, "optin", {"topic": "news"}, False),
    ("optin", SALE, "message", EVERYTHING, False),
    ("optin", SALE, "postback", EVERYTHING, False),
    ("optin", SALE, "operator", SALE, True),
    ("optin", SALE, "api", SALE, True),
    # A RESUME of a topic lifts only that topic.
    ("message", SALE, "optin", SALE, True),
    ("message", EVERYTHING, "optin", SALE, False),
    # A stop of the platform's that names no topic covers everything, and is the person's own to take back.
    ("optin", EVERYTHING, "message", EVERYTHING, True),
    # No word lifts what a person of the team barred, and no other system does.
    ("operator", EVERYTHING, "message", EVERYTHING, False),
    ("operator", EVERYTHING, "postback", EVERYTHING, False),
    ("operator", SALE, "optin", SALE, False),
    ("operator", EVERYTHING, "api", EVERYTHING, False),
    ("operator", EVERYTHING, "operator", EVERYTHING, True),
    ("operator", SALE, "operator", EVERYTHING, True),
    ("operator", EVERYTHING, "operator", SALE, False),
]


def test_whose_word_brings_back_what(page: Any, session: Session) -> None:
    people = ensure_contacts(session, page.id, [f"{number:02}" for number in range(len(LIFTS))], NOW)
    for row, (_, one) in zip(LIFTS, sorted(people.items()), strict=True):
        out_by, out, in_by, in_, lifted = row
        assert record_opt_out(session, one, **out, source=out_by, at=NOW, now=NOW), row
        assert record_opt_in(session, one, **in_, source=in_by, at=NOW + 5, now=NOW + 5) is lifted, row
        assert (_standing(session, one) == []) is lifted, row


def test_a_word_lifts_the_persons_own_stop_and_leaves_the_teams_bar(ana: int, session: Session) -> None:
    record_opt_out(session, ana, source="message", at=NOW, now=NOW)
    record_opt_out(session, ana, source="operator", actor="mia", at=NOW + 1, now=NOW + 1)
    assert record_opt_in(session, ana, source="message", at=NOW + 2, now=NOW + 2)
    assert _standing(session, ana) == [("opted_out", None, None, "operator")]


def test_start_lifts_no_block_and_no_erasure_by_itself(page: Any, session: Session) -> None:
    for reason, one in sorted(ensure_contacts(session, page.id, ["blocked", "erased", "unreachable"], NOW).items()):
        suppress(session, one, reason, source="send_error", now=NOW)
        for source in ("message", "optin", "operator", "api", "import"):
            assert not record_opt_in(session, one, source=source, at=NOW + 5, now=NOW + 5)
        assert _standing(session, one) == [(reason, None, None, "platform")]
        # Having written at all proves that they are not blocked any more; nothing brings back who was erased.
        record_inbound(session, one, NOW + 5, NOW + 5)
        assert _standing(session, one) == ([("erased", None, None, "platform")] if reason == "erased" else [])


#: Where they are, what the page goes by, what they said and when; the topic and category it covers.
REACHES: list[tuple[dict[str, Any], Any, dict[str, Any], int, tuple[str | None, str | None]]] = [
    # What names nothing covers everything, wherever they are.
    ({}, "everything", EVERYTHING, NOW, (None, None)),
    ({"country": "DE"}, "everything", EVERYTHING, NOW, (None, None)),
    # A page that goes by the law asks for what the widest of their jurisdictions says, and for all where none is.
    ({"country": "DE"}, "law", EVERYTHING, NOW, (None, "promotional")),
    ({"region": "US-FL", "country": "US"}, "law", EVERYTHING, NOW, (None, "promotional")),
    ({}, "law", EVERYTHING, NOW, (None, None)),
    ({"country": "AQ"}, "law", EVERYTHING, NOW, (None, None)),
    # What they name, they mean.
    ({}, "everything", SALE, NOW, ("sale", None)),
    ({"country": "DE"}, "law", SALE, NOW, ("sale", None)),
    ({"country": "US"}, "everything", PROMOTIONS, NOW, (None, "promotional")),
    # From a day on one revocation covers everything in the United States, whatever it names.
    ({"country": "US"}, "everything", SALE, REVOKE_ALL - 1, ("sale", None)),
    ({"country": "US"}, "everything", SALE, REVOKE_ALL, (None, None)),
    ({"country": "US"}, "law", EVERYTHING, REVOKE_ALL, (None, None)),
    ({"timezones": ["America/Chicago"]}, "everything", PROMOTIONS, REVOKE_ALL, (None, None)),
    ({"country": "DE"}, "everything", SALE, REVOKE_ALL, ("sale", None)),
]


def test_how_far_an_opt_out_goes(page: Any, session: Session) -> None:
    people = ensure_contacts(session, page.id, [f"{number:02}" for number in range(len(REACHES))], NOW)
    for row, (_, one) in zip(REACHES, sorted(people.items()), strict=True):
        place, rule, said, at, covered = row
        for column, value in place.items():
            change = text(f"UPDATE contact SET {column} = :value WHERE id = :id")
            session.connection().execute(change, {"value": value, "id": one})
        change_settings(session, page.id, page.external_id, Settings(opt_out_scope=rule), actor="tests", now=NOW)
        record_opt_out(session, one, **said, source="message", at=at, now=at)
        (standing,) = suppressions(session, one)
        assert (standing["topic"], standing["category"]) == covered, row


def test_what_is_widened_remembers_what_was_said(ana: int, session: Session, row: Any) -> None:
    session.connection().execute(text("UPDATE contact SET country = 'US'"))
    record_opt_out(session, ana, topic="sale", source="message", at=REVOKE_ALL, now=REVOKE_ALL)
    # A RESUME of the topic brings back the topic, and it was everything.
    assert not record_opt_in(session, ana, topic="sale", source="optin", at=REVOKE_ALL + 5, now=REVOKE_ALL + 5)
    session.commit()
    assert row("SELECT topic, scope FROM consent_record WHERE action = 'opt_out'") == ("sale", "everything")


def test_a_choice_that_cannot_be_kept_is_refused(ana: int, session: Session) -> None:
    wrongs: list[dict[str, Any]] = [
        {"source": "rumour"},
        {"category": "gossip"},
        {"topic": "sale", "category": "promotional"},
    ]
    for wrong in wrongs:
        with pytest.raises(Invalid):
            record_opt_out(session, ana, **({"source": "message"} | wrong), at=NOW, now=NOW)


def test_an_opt_out_ends_the_grants_it_covers_and_no_opt_in_brings_them_back(ana: int, api: Any, row: Any) -> None:
    base = "/pages/100200300400/contacts/ana"
    for topic in (None, "sale", "news"):
        given = {
            "topic": topic, "kind": "express", "source": "api", "wording": "yes",
            "granted_at": format_instant(clock.now() - 60),
        }  # fmt: skip
        assert api("POST", f"{base}/consents", given).status_code == 201

    def held() -> list[str | None]:
        return [each["topic"] for each in api("GET", f"{base}/consent").json()["consents"]]

    assert held() == [None, "news", "sale"]
    # The platform's own control stops a topic and resumes it, with what was agreed to about it.
    with database.session() as session:
        record_opt_out(session, ana, topic="news", source="optin", at=clock.now() - 9, now=clock.now())
    found = api("GET", f"{base}/consent?topic=news").json()
    assert (found["barred"]["said_by"], found["consents"][1]["covers"]) == ("platform", True)
    with database.session() as session:
        assert record_opt_in(session, ana, topic="news", source="optin", at=clock.now() - 8, now=clock.now())
    assert held() == [None, "news", "sale"]
    api("POST", f"{base}/opt-out", {"topic": "sale", "source": "api"})
    assert held() == [None, "news"]
    api("POST", f"{base}/opt-out", {"source": "api", "evidence": "the web shop's form"})
    api("POST", f"{base}/opt-in", {"source": "api"})
    assert held() == []
    assert api("GET", f"{base}/consent").json()["barred"] is None
    assert api("POST", f"{base}/opt-out", {"topic": "a", "category": "promotional"}).status_code == 422
    assert row("SELECT count(*) FROM consent_record WHERE evidence = 'the web shop''s form'")[0] == 1
