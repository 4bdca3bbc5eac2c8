"""What a tap asks for: an opt-out wherever it is said, an opt-in by our own payload alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.inbox.arrivals import arrivals
from scheduler.inbox.meaning import Meaning, meaning_of


def _meaning(channel: str = "messaging", **what: Any) -> Meaning:
    event = {"sender": {"id": "7"}, "recipient": {"id": "1"}, "timestamp": 1_790_000_000_000, **what}
    [arrival] = arrivals({"object": "page", "entry": [{"id": "1", "time": 1_790_000_000_000, channel: [event]}]})
    return meaning_of(arrival)


def _heard(found: Meaning) -> bool:
    return found.choice == "opt_out" or (found.suggestion is not None and found.suggestion.meaning == "opt_out")


PAYLOADS = [
    "stop", "MAIN_STOP", "menu-7-unsubscribe", "optOut", "unSubscribe", "STOP_ALL", "stopAll", "BTN_OPT_OUT",
    "UNSUB_ME",
    "STOP_PROMO_7", "ABMELDEN", "button:baja", "desabonner", "app://menu?do=unsubscribe&id=3", "cmd%3Dunsubscribe",
    "https://shop.example/unsubscribe?u=4", json.dumps({"cmd": "STOP"}), json.dumps({"a": {"b": [{"c": "opt-out"}]}}),
    json.dumps({"data": json.dumps({"action": "stop"})}), json.dumps({"unsubscribe": True}),
    json.dumps(["unsubscribe"]),
    json.dumps({"newsletter": False}), '{"action": "unsubscribe", "cut', "usr.unsubscribeMe.now",
]  # fmt: skip
#: They name nothing but an opt-out, so nobody needs to look.
SURE_PAYLOADS = [
    "unsub", "UNSUB_ALL", "usr.unsubscribeMe.now", "action=optout", "action=unsub", "opt_out_all", "STOP_MESSAGES",
    "OPT-OUT-MARKETING", "stopPromotions", "MENU_UNSUBSCRIBE_ME_PLEASE", json.dumps({"type": "UNSUBSCRIBE_ALL"}),
    json.dumps({"payload": {"action": "unsub"}}), json.dumps({"cmd": "opt_out", "from": "all"}),
]  # fmt: skip
#: Of one thing alone, or with more to it: for a person to judge.
UNSURE_PAYLOADS = ["NEWSLETTER_UNSUBSCRIBE", "unsubscribe_confirm", "unsubscribe_order_updates", "stop_list"]
QUIET_PAYLOADS = [
    "GET_STARTED", "START_NOW", "RESTART", "SUBSCRIBE", "CANCEL_ORDER_5", "END_CHAT", "QUIT_GAME", "BUS_STOP_4",
    "NEXT_STOP", "NON_STOP_FLIGHTS", "STOP_SMOKING_KIT", "REMOVE_ITEM_2", "UNSUBSCRIBE_CANCEL", "DONT_UNSUBSCRIBE",
    "STOP_SHOWING_RED_SHOES", "unsubscribe_cancelled", "UNSUB_FAILED", "unsub_help", "unsubscribed",
    "all_messages", "MY_LIST",
    "SIZE_T", "td", json.dumps({"action": "subscribe"}), json.dumps({"line": 4, "stop": 12}), json.dumps({"a": "red"}),
    json.dumps({"subscribe": True}), "x" * 3000, "[" * 900, "shop", "%", "",
]  # fmt: skip


@pytest.mark.parametrize("channel", ["messaging", "standby"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_opts_out_in_any_form(payload: str, channel: str) -> None:
    assert _heard(_meaning(channel, postback={"mid": "m", "title": "Go", "payload": payload}))
    assert _heard(_meaning(channel, message={"mid": "m", "text": "Go", "quick_reply": {"payload": payload}}))


@pytest.mark.parametrize("payload", SURE_PAYLOADS)
def test_a_payload_that_names_nothing_but_an_opt_out_is_one(payload: str) -> None:
    for channel in ("messaging", "standby"):
        assert _meaning(channel, postback={"mid": "m", "title": "Go", "payload": payload}).choice == "opt_out"
    assert _meaning(message={"mid": "m", "text": "Go", "quick_reply": {"payload": payload}}).choice == "opt_out"


@pytest.mark.parametrize("payload", UNSURE_PAYLOADS)
def test_a_payload_that_names_more_than_an_opt_out_is_looked_at(payload: str) -> None:
    found = _meaning(postback={"mid": "m", "title": "Go", "payload": payload})
    assert found.choice is None
    assert _heard(found)


@pytest.mark.parametrize("payload", QUIET_PAYLOADS)
def test_other_payloads_ask_for_nothing(payload: str) -> None:
    for found in (
        _meaning(postback={"mid": "m", "title": "Go", "payload": payload}),
        _meaning(message={"mid": "m", "text": "Go", "quick_reply": {"payload": payload}}),
        _meaning(referral={"source": "SHORTLINK", "ref": payload}),
    ):
        assert (found.choice, found.suggestion) == (None, None)


@pytest.mark.parametrize(
    "title",
    ["Stop", "STOP ALL", "Unsubscribe", "Abmelden", "Se désabonner", "退订", "🛑 Stop", "Stop messages", "Odhlásit"],
)
def test_a_title_opts_out_whatever_the_payload(title: str) -> None:
    for payload in ("MENU_9", "", "42", None):
        assert _heard(_meaning(postback={"mid": "m", "title": title, "payload": payload}))
        assert _heard(_meaning("standby", postback={"mid": "m", "title": title}))
        assert _heard(_meaning(message={"mid": "m", "text": title, "quick_reply": {"payload": payload}}))


@pytest.mark.parametrize("title", ["Start", "START", "Subscribe", "Get started", "Resume", "Anmelden", "訂閱"])
def test_a_title_never_opts_in(title: str) -> None:
    for found in (
        _meaning(postback={"mid": "m", "title": title, "payload": "START_NOW"}),
        _meaning(message={"mid": "m", "text": title, "quick_reply": {"payload": "MENU_1"}}),
        _meaning(message={"mid": "m", "text": "hello", "commands": [{"name": title}]}),
    ):
        assert (found.choice, found.suggestion) == (None, None)


def test_our_own_payload_opts_in_unless_the_words_opt_out() -> None:
    assert _meaning(postback={"mid": "m", "title": "Yes", "payload": "START"}).choice == "opt_in"
    assert _meaning(postback={"mid": "m", "title": "Stop", "payload": "START"}).choice == "opt_out"
    # Typed, START is a keyword as ever.
    assert _meaning(message={"mid": "m", "text": "START"}).choice == "opt_in"


@pytest.mark.parametrize(
    ("title", "payload", "heard"),
    [
        ("Cancel", "MENU_4", True), ("End", "", True), ("Cancelar", None, True),
        ("Cancel", "CANCEL_ORDER_4", False), ("Quit", "QUIT_GAME", False), ("Cancel", '{"order": "cancel it"}', False),
        ("No", "NO", False), ("No, thanks", "SKIP", False), ("Cancel order", "X", False), ("Bus stop", "4", False),
    ],
)  # fmt: skip
def test_a_title_that_is_also_said_of_orders_asks_a_person_unless_the_payload_tells(
    title: str, payload: str | None, heard: bool
) -> None:
    found = _meaning(postback={"mid": "m", "title": title, "payload": payload})
    assert found.choice is None
    assert _heard(found) is heard


def test_a_link_that_somebody_follows_opts_out_by_what_it_carries() -> None:
    left = {"source": "SHORTLINK", "type": "OPEN_THREAD", "ref": "unsubscribe"}
    for found in (
        _meaning(referral=left),
        _meaning(postback={"mid": "m", "title": "Get started", "payload": "GET_STARTED", "referral": left}),
        _meaning(message={"mid": "m", "text": "hi", "referral": left}),
        _meaning(optin={"ref": "unsubscribe"}),
    ):
        assert found.choice == "opt_out"
    # The topic of an opt-in is its name, not a wish.
    topic = {"type": "notification_messages", "payload": "Stop smoking", "title": "Stop smoking"}
    assert _meaning(optin=topic).choice == "opt_in"


def test_a_title_that_is_a_number_is_read_as_one() -> None:
    assert _meaning(postback={"mid": "m", "title": 4, "payload": "STOP"}).choice == "opt_out"


def _echo(**message: Any) -> Meaning:
    event = {"sender": {"id": "1"}, "recipient": {"id": "7"}, "timestamp": 1_790_000_000_000}
    event["message"] = {"mid": "m", "is_echo": True, **message}
    [arrival] = arrivals({"object": "page", "entry": [{"id": "1", "messaging": [event]}]})
    return meaning_of(arrival)


INBOX = 26390203743090
POST = {"type": "template", "title": "Our post", "url": None, "payload": None}
LINK = {"type": "fallback", "title": "A comment", "url": "https://www.facebook.com/1/posts/2", "payload": None}


@pytest.mark.parametrize(
    ("message", "person", "automatic"),
    [
        ({"text": "I am here to help"}, True, False),
        ({"text": "I am here to help", "app_id": INBOX}, True, False),
        ({"attachments": [{"type": "image", "payload": {"url": "u"}}]}, True, False),
        ({"text": "see https://shop.example/a", "attachments": [LINK]}, True, False),
        ({}, True, False),
        ({"attachments": [POST]}, False, True),
        ({"attachments": [POST], "app_id": INBOX}, False, True),
        ({"text": "Thanks for your comment!", "attachments": [LINK]}, False, True),
        ({"attachments": [{"type": "post", "payload": {}}]}, False, True),
        ({"text": "from a robot", "metadata": "x"}, False, False),
        ({"text": "from a robot", "app_id": 5}, False, False),
        ({"attachments": [POST], "app_id": 5}, False, False),
        ({"text": "odd", "attachments": ["x", 5]}, True, False),
    ],
)
def test_who_wrote_an_echo(message: dict[str, Any], person: bool, automatic: bool) -> None:
    found = _echo(**message)
    assert (found.by_person, found.automatic) == (person, automatic)


@pytest.mark.parametrize("label", ["stop all", "STOP ALL 🛑", "Stop-All", "STOPALL"])
def test_a_button_that_ends_everything_opts_out_whatever_it_carries(label: str) -> None:
    found = _meaning(postback={"mid": "m", "title": label, "payload": "BUTTON_9"})
    assert found.choice == "opt_out"


def test_stopping_all_of_something_else_changes_nothing() -> None:
    found = _meaning(message={"mid": "m", "text": "does this seal stop all leaks in the roof?"})
    assert (found.choice, found.suggestion) == (None, None)
