"""The record has what was said: sealed with the attempt, shown to whoever may ask, gone with an erasure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from structlog.testing import capture_logs
from typer.testing import CliRunner

from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.cli.main import app
from scheduler.content.render import Rendered
from scheduler.outbox.begin import begin
from scheduler.outbox.content_record import ContentSeal
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from scheduler.privacy.erasure import erase
from scheduler.privacy.subject import everything
from tests.integration.noon import NOON

WORDS = "Hola Ana: 15% de descuento"


@pytest.fixture
def sent(
    session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]
) -> tuple[int, int]:
    """(message id, contact id) of one that is on its way to Ana, in Spanish, in the second version of its template."""
    ana = people("ana", locale="es_MX", first_name="Ana")["ana"]
    bodies = {"en": {"text": "Hi"}, "es_LA": {"text": "Hola {{ contact.first_name }}: 15% de descuento"}}
    template("promo", "Hi")
    template("promo", "Hi", bodies=bodies)
    made = registry.create_campaign(
        session, page, name="Spring", template="promo", audience="everyone", actor="tests", now=NOON
    )
    assert made.id is not None
    assert page.id is not None
    lifecycle.launch(session, made.id, actor="tests", now=NOON)
    while plan_next(session, NOON):
        pass
    tick(session, NOON)
    with capture_logs() as said:
        (begun,) = begin(session, "promotional", {page.id: 10}, NOON)
    assert WORDS not in str(said)
    session.commit()
    return begun.message_id, ana


def test_a_message_shows_what_went_out_its_locale_and_its_templates_version(
    session: Session, api: Callable[..., Any], sent: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    message, _ = sent
    (kept,) = session.execute(text("SELECT content FROM attempt")).scalars()
    assert b"Ana" not in bytes(kept)
    story = api("GET", f"/messages/{message}").json()
    assert story["template_version"] == 2
    assert [attempt["content"] for attempt in story["attempts"]] == [
        {"locale": "es_LA", "text": WORDS, "utility_name": None, "utility_parameters": {}}
    ]
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["message", "show", str(message)]).output
    assert WORDS in shown
    assert "in es_LA" in shown
    assert "template promo, version 2" in shown


def test_the_persons_own_copy_has_it_and_an_erasure_takes_it(
    session: Session, page: Page, api: Callable[..., Any], sent: tuple[int, int]
) -> None:
    message, contact = sent
    assert everything(session, contact, NOON)["attempts"][0]["content"]["text"] == WORDS
    assert page.id is not None
    erase(session, page.id, "ana", actor="tests", reason="asked", now=NOON)
    session.commit()
    assert session.execute(text("SELECT content FROM attempt")).scalars().all() == [None]
    assert api("GET", f"/messages/{message}").json()["attempts"][0]["content"] is None


def test_messages_are_listed_by_person(api: Callable[..., Any], sent: tuple[int, int]) -> None:
    message, _ = sent
    assert [each["id"] for each in api("GET", "/messages?psid=ana").json()["items"]] == [message]
    assert api("GET", "/messages?psid=nobody").json()["items"] == []
    listed = CliRunner().invoke(app, ["message", "list", "--psid", "ana", "--json"])
    assert [each["id"] for each in json.loads(listed.stdout)] == [message]


def test_words_of_one_message_cannot_be_put_into_another(session: Session) -> None:
    import base64

    seal = ContentSeal.of(session)
    sealed = seal.seal(7, Rendered(locale="en", text="Hello"))
    assert sealed is not None
    kept = base64.b64decode(sealed)
    assert seal.open(7, kept) == {"locale": "en", "text": "Hello", "utility_name": None, "utility_parameters": {}}
    assert seal.open(8, kept) is None
    assert seal.open(7, kept[:-1] + bytes([kept[-1] ^ 1])) is None
    assert seal.open(7, None) is None


def test_what_a_terminal_would_obey_is_not_printed(
    session: Session, sent: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    message, _ = sent
    sealed = ContentSeal.of(session).seal(message, Rendered(locale="en", text="one\x1b[31m\ntwo"))
    assert sealed is not None
    session.execute(text("UPDATE attempt SET content = :content"), {"content": base64.b64decode(sealed)})
    session.commit()
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(app, ["message", "show", str(message)]).output
    assert "\x1b[31m" not in shown
    assert "one?[31m" in shown


def test_events_that_wait_for_nobody_for_a_day_are_shown(
    session: Session, api: Callable[..., Any], people: Callable[..., dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    people("ana")
    for key, email in (("1", "x@example.com"), ("2", "y@example.com")):
        body = {"kind": "order.placed", "key": key, "data": {"order": key, "email": email}}
        assert api("POST", "/pages/555/events", body).status_code == 202
    assert api("GET", "/ops/status").json()["waiting_events"] == []
    session.execute(text("UPDATE business_event SET received_at = received_at - 90000"))
    session.commit()
    (waiting,) = api("GET", "/ops/status").json()["waiting_events"]
    assert (waiting["page"], waiting["person_kind"], waiting["events"]) == ("555", "email", 2)
    monkeypatch.setenv("COLUMNS", "200")
    assert (
        "2 events of page 555 are about somebody whose email no contact has"
        in CliRunner().invoke(app, ["ops", "status"]).output
    )
