"""Events in other wrappings than usual, and in none that is known."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.inbox.arrivals import Arrival, arrivals
from scheduler.inbox.meaning import Unappliable, meaning_of

BETWEEN = {"sender": {"id": "700"}, "recipient": {"id": "1"}, "timestamp": "1780000000"}
STOP = {**BETWEEN, "message": {"mid": "m", "text": "STOP"}}


def change(field: object, value: object) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": "1", "time": 1780000000, "changes": [{"field": field, "value": value}]}]}


def choices(body: object) -> list[str | None]:
    """What each event of the body chooses; ``problem`` where a person has to look."""
    found: list[str | None] = []
    for arrival in arrivals(body):
        try:
            found.append(meaning_of(arrival).choice)
        except Unappliable:
            found.append("problem")
    return found


def only(body: object) -> Arrival:
    (arrival,) = arrivals(body)
    return arrival


@pytest.mark.parametrize(
    "field", ["messages", "standby", "messaging_postbacks", "something_new", None, ["messages"], 7]
)
def test_a_message_that_comes_as_a_change_is_the_message(field: object) -> None:
    arrival = only(change(field, STOP))
    assert (arrival.kind, arrival.psid, arrival.page, arrival.odd) == ("message", "700", "1", None)
    assert arrival.occurred_ms == 1_780_000_000_000
    assert arrival.standby == (field == "standby")
    assert choices(change(field, STOP)) == ["opt_out"]
    # In whatever wrapping it comes a second time, it is the same event.
    usual = {"object": "page", "entry": [{"id": "1", "time": 5, "messaging": [STOP]}]}
    assert arrival.dedupe_key == only(usual).dedupe_key


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("postback", {"mid": "p", "title": "Stop", "payload": "STOP"}),
        (
            "optin",
            {"type": "notification_messages", "notification_messages_status": "STOP NOTIFICATIONS", "title": "x"},
        ),
        ("message_edit", {"mid": "m", "text": "STOP", "num_edit": 1}),
    ],
)
def test_whatever_a_person_does_may_come_as_a_change(kind: str, what: dict[str, object]) -> None:
    body = change("messages", {**BETWEEN, kind: what})
    assert (only(body).kind, choices(body)) == (kind, ["opt_out"])


@pytest.mark.parametrize(
    "body",
    [
        change("messages", [STOP, {**STOP, "message": {"mid": "n", "text": "hello"}}]),
        {"object": "page", "entry": {"id": "1", "time": 5, "messaging": [STOP]}},
        {"object": "page", "entry": [{"id": "1", "time": 5, "messaging": STOP}]},
        {"object": "page", "entry": [{"id": "1", "time": 5, "changes": {"field": "messages", "value": STOP}}]},
        {"object": "page", "field": "messages", "value": STOP},
        {"field": "messages", "value": STOP},
    ],
)
def test_lists_that_are_none_and_wrappings_that_are_missing_lose_no_stop(body: object) -> None:
    assert choices(body)[0] == "opt_out"


def test_an_echo_a_deletion_and_a_template_stay_what_they_are_as_changes() -> None:
    echo = {"sender": {"id": "1"}, "recipient": {"id": "700"}, "message": {"mid": "e", "is_echo": True, "text": "STOP"}}
    assert (only(change("message_echoes", echo)).kind, only(change("message_echoes", echo)).psid) == ("echo", "700")
    gone = {**BETWEEN, "message": {"mid": "m", "is_deleted": True}}
    assert only(change("messages", gone)).kind == "deletion"
    status = {"message_template_name": "t", "event": "APPROVED", "message": {"x": 1}, "sender": {"id": "7"}}
    assert only(change("message_template_status_update", status)).kind == "template_status"


@pytest.mark.parametrize(
    "value",
    [
        {"sender": {"id": "700"}, "text": "STOP"},
        {"from": {"id": "700", "name": "Ada"}, "text": "hello"},
        {"sender": {"id": "700"}, "message": "STOP"},
    ],
)
def test_a_change_of_messages_in_no_known_shape_waits_for_a_person(value: dict[str, object]) -> None:
    body = change("messages", value)
    assert choices(body) == ["problem"]
    # Who it is about is held until then.
    assert (only(body).psid, only(body).odd) == ("700", "unknown_field")


def test_the_dashboards_ping_says_nothing() -> None:
    arrival = only(change("messages", {"page_id": "106728097004746"}))
    assert (arrival.problem, arrival.odd, choices(change("messages", {"page_id": "1"}))) == (
        None,
        "unknown_field",
        [None],
    )


@pytest.mark.parametrize(
    ("body", "odd"),
    [
        ({"object": "page", "entry": [{"id": "1", "messaging": [{**BETWEEN, "new_kind": {"text": "hello"}}]}]},
         "unknown_event"),
        ({"object": "page", "entry": [{"id": "1", "secondary": [{**BETWEEN, "message": {"text": "hello"}}]}]},
         "unknown_event"),
        (change("new_field", {"item": "hello"}), "unknown_field"),
        ({"object": "user", "entry": [{"id": "1", "messaging": [STOP]}]}, "unknown_object"),
        ({"object": "page", "entry": 5}, "unreadable"),
        ({"object": "page", "entry": [{"id": "1"}]}, "unreadable"),
        ({"object": "page", "entry": [{"id": "1", "messaging": 5}]}, "unreadable"),
        ([], "unreadable"),
    ],
)  # fmt: skip
def test_what_has_no_shape_that_is_known_is_told_apart(body: object, odd: str) -> None:
    assert [arrival.odd for arrival in arrivals(body)] == [odd]


@pytest.mark.parametrize(
    "body",
    [
        {"object": "page", "entry": [{"id": "1", "messaging": [{**BETWEEN, "new_kind": {"text": "STOP"}}]}]},
        {"object": "page", "entry": [{"id": "1", "messaging": [{**BETWEEN, "text": "stop"}]}]},
        {"object": "page", "entry": [{"id": "1", "secondary": [{**BETWEEN, "message": {"text": "Stop!"}}]}]},
        change("new_field", {"sender": {"id": "700"}, "words": ["unsubscribe"]}),
    ],
)
def test_what_may_be_a_stop_in_no_known_shape_waits_for_a_person(body: object) -> None:
    assert choices(body) == ["problem"]


@pytest.mark.parametrize("field", ["feed", "mention", "ratings", "conversations"])
def test_what_is_said_in_public_is_kept_and_is_nothing_odd(field: str) -> None:
    body = change(field, {"from": {"id": "700"}, "item": "comment", "message": "STOP", "verb": "add"})
    assert (only(body).kind, only(body).odd, choices(body)) == ("change", None, [None])


def test_what_is_known_is_nothing_odd() -> None:
    for kind in ("message", "postback", "delivery", "read", "app_roles", "optin", "reaction"):
        body = {"object": "page", "entry": [{"id": "1", "time": 5, "uid": "1", "messaging": [{**BETWEEN, kind: {}}]}]}
        assert only(body).odd is None
    assert only({"object": "instagram", "entry": [{"id": "1", "messaging": [STOP]}]}).odd is None


def test_of_an_event_with_a_thousand_texts_the_first_count() -> None:
    for texts, found in ((["STOP", *["hello"] * 5000], "problem"), ([*["hello"] * 5000, "STOP"], None)):
        body = {"object": "page", "entry": [{"id": "1", "messaging": [{**BETWEEN, "new": {"said": texts}}]}]}
        assert choices(body) == [found]
