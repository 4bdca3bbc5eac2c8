"""Opt-outs are heard wherever somebody says them: buttons, quick replies, links and words nearly like a keyword."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler import clock

OPEN = "SELECT phrase FROM consent_review r JOIN contact c ON c.id = contact_id WHERE psid = :psid"


def _standby(psid: str, page: Any, **what: Any) -> bytes:
    now = clock.now() * 1000
    event = {"sender": {"id": psid}, "recipient": {"id": page.external_id}, "timestamp": now, **what}
    entry = {"id": page.external_id, "time": now, "standby": [event]}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


def test_buttons_and_quick_replies_opt_out_by_what_they_say_and_carry(
    page: Any, deliver: Any, happen: Any, opted_out: Any
) -> None:
    deliver(
        happen("1", postback={"mid": "a", "title": "Stop", "payload": "MENU_9"}),
        happen("2", postback={"mid": "b", "title": "Go on", "payload": json.dumps({"menu": {"do": "unsubscribe"}})}),
        happen("3", message={"mid": "c", "text": "Abmelden", "quick_reply": {"payload": "4"}}),
        happen("4", message={"mid": "d", "text": "Ok", "quick_reply": {"payload": "optOut"}}),
        happen("5", postback={"mid": "e", "title": "Get started", "payload": "START_NOW"}),
        happen("6", message={"mid": "f", "text": "Start", "quick_reply": {"payload": "QUIZ_START"}}),
        happen("7", postback={"mid": "g", "title": "Cancel", "payload": "CANCEL_ORDER_7"}),
    )
    assert [opted_out(str(psid)) for psid in range(1, 8)] == [True] * 4 + [False] * 3


def test_another_app_having_the_thread_changes_nothing_about_that(page: Any, deliver: Any, opted_out: Any) -> None:
    # The payload is told to the app alone whose button it is.
    deliver(raw=_standby("1", page, postback={"mid": "a", "title": "Unsubscribe"}))
    deliver(raw=_standby("2", page, message={"mid": "b", "text": "Stop", "quick_reply": {"payload": "x"}}))
    deliver(raw=_standby("3", page, postback={"mid": "c", "title": "Start"}))
    assert [opted_out(psid) for psid in "123"] == [True, True, False]


def test_a_title_opts_nobody_in_again(page: Any, deliver: Any, say: Any, happen: Any, opted_out: Any) -> None:
    now = clock.now()
    deliver(say("1", "STOP", at=now - 20))
    deliver(happen("1", at=now - 10, message={"mid": "a", "text": "START", "quick_reply": {"payload": "QUIZ"}}))
    deliver(happen("1", at=now - 9, postback={"mid": "b", "title": "Subscribe", "payload": "GET_STARTED"}))
    assert opted_out("1")
    deliver(happen("1", at=now - 8, postback={"mid": "c", "title": "Yes, again", "payload": "START"}))
    assert not opted_out("1")


@pytest.mark.parametrize(
    "text", ["Stop, many thanks", "s t o p", "5T0P", "unsubcribe", "Odhlásit prosím", "stop!\n\nSent from my iPhone"]
)
def test_what_is_nearly_a_keyword_is_kept_for_a_person(
    page: Any, deliver: Any, say: Any, opted_out: Any, row: Any, text: str
) -> None:
    deliver(say("1", text), say("2", "is there a bus stop?"))
    assert not opted_out("1")
    assert row(OPEN, psid="1") is not None
    assert row(OPEN, psid="2") is None


def test_the_review_list_has_the_words_on_a_button(page: Any, deliver: Any, happen: Any, api: Any) -> None:
    deliver(happen("1", postback={"mid": "a", "title": "Cancel", "payload": "MENU_4"}))
    [found] = api("GET", "/consent/reviews").json()["items"]
    assert (found["phrase"], found["words"]) == ("CANCEL", "Cancel")


def test_what_the_platform_sends_of_itself_is_no_persons_handover(
    page: Any, deliver: Any, say: Any, contact: Any
) -> None:
    def echo(psid: str, **message: Any) -> dict[str, Any]:
        said = {"mid": f"e{psid}", "is_echo": True, **message}
        ends = {"sender": {"id": page.external_id}, "recipient": {"id": psid}}
        return {**ends, "timestamp": clock.now() * 1000, "message": said}

    post = {"title": "New in our shop", "url": None, "type": "template", "payload": None}
    deliver(say("1", "hi"), say("2", "hi"), say("3", "hi"))
    deliver(echo("1", attachments=[post]))
    deliver(echo("2", text="Thanks for your comment", attachments=[{"type": "fallback", "url": "https://a.example"}]))
    deliver(echo("3", text="Hello, Anna here"))
    assert [contact(psid, "handover_by")[0] for psid in "123"] == [None, None, "person"]
