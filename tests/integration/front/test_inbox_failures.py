from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.store import database


@pytest.mark.parametrize(
    "what",
    [
        {"message": "hello"},  # not an object
        {"message": {"mid": "m", "text": 5}},  # words that are no text: it might have been a STOP
        {"message": {"mid": "m", "quick_reply": "STOP"}},  # not an object
        {"message": {"mid": "m", "text": "x", "quick_reply": {"payload": ["STOP"]}}},  # nor text
        {"postback": {"mid": "m", "payload": "NOTIFY_ME:"}},  # names no product
        {"read": {"watermark": "yesterday"}},  # no instant
    ],
)
def test_what_cannot_be_applied_is_kept_and_holds_its_contact(
    page: Any, deliver: Any, happen: Any, say: Any, contact: Any, row: Any, what: dict[str, Any]
) -> None:
    deliver(say("7"))
    answer = deliver(happen("7", **what), say("8"))
    assert (answer.status_code, answer.json()) == (200, {"received": 2, "known": 0, "failed": 1})
    assert contact("7", "held_at IS NOT NULL")[0] is True
    assert contact("8", "held_at, last_inbound_at IS NOT NULL") == (None, True)
    assert row("SELECT psid, body IS NOT NULL, applied_at FROM platform_event WHERE error <> ''") == ("7", True, None)


def test_somebody_unknown_whose_first_event_cannot_be_applied_is_held_too(
    page: Any, deliver: Any, happen: Any, contact: Any
) -> None:
    deliver(happen("7", message={"mid": "m", "text": ["STOP"]}))
    assert contact("7", "held_at IS NOT NULL, last_inbound_at") == (True, None)


@pytest.mark.parametrize(
    "event",
    [
        {"message": {"mid": "m", "text": "hi"}},  # nobody
        {"sender": {}, "message": {"mid": "m", "text": "hi"}},  # nobody in particular
        {"sender": "7", "postback": {"payload": "x"}},  # not an object
        "STOP",  # not an event
        None,  # nothing
        {"sender": {"id": "100200300400"}, "message": {"mid": "m", "text": "hi"}},  # the page itself
    ],
)
def test_an_event_that_names_nobody_is_kept_with_its_error(page: Any, deliver: Any, row: Any, event: object) -> None:
    assert deliver(event).json() == {"received": 1, "known": 0, "failed": 1}
    assert row("SELECT count(*) FROM contact")[0] == 0
    assert row("SELECT error IS NOT NULL FROM platform_event")[0] is True


def test_what_fails_while_applied_leaves_nothing_half_done(
    page: Any, deliver: Any, say: Any, happen: Any, contact: Any, row: Any
) -> None:
    # A product's name that the database refuses: the savepoint takes the wish back, the rest stands.
    with Session(database.engine()) as session:
        session.connection().execute(text("ALTER TABLE interest ADD CONSTRAINT none CHECK (sku <> 'cursed')"))
        session.commit()
    answer = deliver(happen("7", postback={"mid": "m", "payload": "NOTIFY_ME:cursed"}), say("8", "STOP"))
    assert answer.json() == {"received": 2, "known": 0, "failed": 1}
    assert contact("7", "held_at IS NOT NULL")[0] is True
    assert row("SELECT error FROM platform_event WHERE psid = '7'")[0] == "the database refused it (CheckViolation)"
    assert row("SELECT count(*) FROM suppression")[0] == 1


def test_odd_characters_are_kept_as_well_as_can_be(page: Any, deliver: Any, say: Any, contact: Any, row: Any) -> None:
    answer = deliver(say("7", "a\u0000b \ud800 c"), say("8", "\u0000STOP"))
    assert answer.json() == {"received": 2, "known": 0, "failed": 0}
    assert row("SELECT body->'message'->>'text' FROM platform_event WHERE psid = '7'")[0] == "a\ufffdb \ufffd c"


def test_changes_of_the_page_are_kept_and_do_nothing(page: Any, deliver: Any, row: Any) -> None:
    entry = {"id": page.external_id, "time": 1_701_599_111, "changes": [{"field": "feed", "value": {"item": "like"}}]}
    assert deliver(raw=json.dumps({"object": "page", "entry": [entry]}).encode()).json()["failed"] == 0
    assert row("SELECT kind, occurred_ms, error FROM platform_event") == ("change", 1_701_599_111_000, None)
