from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.store import database


def test_events_apply_in_the_order_they_happened_not_in_that_of_the_list(
    page: Any, deliver: Any, say: Any, opted_out: Any
) -> None:
    now = clock.now()
    deliver(say("7", "START", at=now - 5), say("7", "STOP", at=now - 10))
    deliver(say("8", "STOP", at=now - 5), say("8", "START", at=now - 10))
    assert (opted_out("7"), opted_out("8")) == (False, True)


def test_choices_that_arrive_in_the_wrong_order_end_as_they_were_made(
    page: Any, deliver: Any, say: Any, opted_out: Any
) -> None:
    now = clock.now()
    deliver(say("7", "START", at=now - 5))
    deliver(say("7", "STOP", at=now - 10))
    assert not opted_out("7")
    deliver(say("8", "STOP", at=now - 5))
    deliver(say("8", "START", at=now - 10))
    assert opted_out("8")
    # An opt-in between two opt-outs that came before it undoes the older one alone.
    for words, at in (("STOP", now - 30), ("STOP", now - 10), ("START", now - 20)):
        deliver(say("9", words, at=at))
    assert opted_out("9")


@pytest.mark.parametrize(
    ("what", "out"),
    [
        ({"message": {"mid": "a", "text": "STOP"}}, True),  # the word
        ({"message": {"mid": "b", "text": " stop! "}}, True),  # as people type it
        ({"message": {"mid": "c", "text": "please stop by my house"}}, False),  # a word in a sentence
        ({"message": {"mid": "d", "text": "No more", "quick_reply": {"payload": "STOP"}}}, True),  # a quick reply
        ({"message": {"mid": "e", "text": "STOP", "quick_reply": {"payload": "START"}}}, True),  # sends less
        ({"postback": {"mid": "f", "title": "Unsubscribe", "payload": "STOP"}}, True),  # a button
        ({"message": {"mid": "g", "text": "HELP"}}, False),  # asks, does not opt out
    ],
)
def test_what_counts_as_an_opt_out(
    page: Any, deliver: Any, happen: Any, opted_out: Any, contact: Any, what: dict[str, Any], out: bool
) -> None:
    deliver(happen("7", **what))
    assert opted_out("7") is out
    # Whatever they said, they wrote: the window is open as after any message.
    assert contact("7", "last_inbound_at")[0] is not None


def test_words_corrected_to_a_stop_are_a_stop_and_open_no_window(
    page: Any, deliver: Any, say: Any, happen: Any, opted_out: Any, contact: Any
) -> None:
    now = clock.now()
    deliver(say("7", "SOTP", at=now - 10))
    deliver(happen("7", message_edit={"mid": "a", "text": "STOP", "num_edit": 1}, at=now - 5))
    assert opted_out("7")
    assert contact("7", "last_inbound_at")[0] == now - 10
    deliver(happen("7", message_edit={"mid": "a", "text": "START", "num_edit": 2}, at=now - 4))
    assert opted_out("7")


def test_a_start_lifts_the_opt_out_and_the_ledger_keeps_both(page: Any, deliver: Any, say: Any, opted_out: Any) -> None:
    now = clock.now()
    deliver(say("7", "STOP", at=now - 20))
    deliver(say("7", "START", at=now - 10))
    assert not opted_out("7")
    with Session(database.engine()) as session:
        kept = session.connection().execute(
            text(
                "SELECT action, source, occurred_at, e.kind FROM consent_record r "
                "JOIN platform_event e ON e.id = r.event_id ORDER BY r.id"
            )
        )
        assert [tuple(each) for each in kept] == [
            ("opt_out", "message", now - 20, "message"),
            ("opt_in", "message", now - 10, "message"),
        ]


def test_an_opt_in_states_the_zone(page: Any, deliver: Any, happen: Any, contact: Any) -> None:
    zone = {"type": "notification_messages", "notification_messages_timezone": "America/St_Johns"}
    assert deliver(happen("7", optin=zone)).json()["failed"] == 0
    assert contact("7", "timezones, timezones_source, last_inbound_at") == (["America/St_Johns"], "optin", None)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", 5, None, "america/new_york\u0000"])
def test_an_unknown_zone_is_no_evidence_and_no_error(
    page: Any, deliver: Any, happen: Any, contact: Any, zone: object
) -> None:
    optin = {"type": "notification_messages", "payload": "sale", "notification_messages_timezone": zone}
    assert deliver(happen("7", optin=optin)).json()["failed"] == 0
    assert contact("7", "timezones, held_at") == (None, None)


def test_stopping_notifications_of_a_topic_bars_that_topic(page: Any, deliver: Any, happen: Any, row: Any) -> None:
    stop = {"type": "notification_messages", "payload": "sale", "notification_messages_status": "STOP NOTIFICATIONS"}
    deliver(happen("7", optin=stop, at=clock.now() - 20))
    in_force = "SELECT array_agg(topic) FROM suppression WHERE lifted_at IS NULL"
    assert row(in_force)[0] == ["sale"]
    resume = {**stop, "notification_messages_status": "RESUME NOTIFICATIONS"}
    deliver(happen("7", optin=resume, at=clock.now() - 10))
    assert row(in_force)[0] is None


def test_an_opt_in_to_a_topic_leaves_the_opt_out_from_everything(
    page: Any, deliver: Any, say: Any, happen: Any, opted_out: Any
) -> None:
    deliver(say("7", "STOP", at=clock.now() - 20))
    deliver(happen("7", optin={"type": "notification_messages", "payload": "sale"}))
    deliver(happen("7", optin={"type": "notification_messages"}))
    assert opted_out("7")


def test_tapping_notify_me_is_remembered(page: Any, deliver: Any, happen: Any, row: Any) -> None:
    postback = {"mid": "m1", "title": "Notify me when back in stock", "payload": "NOTIFY_ME:blue-mug"}
    assert deliver(happen("7", postback=postback)).json()["failed"] == 0
    assert row("SELECT sku, psid FROM interest JOIN contact c ON c.id = contact_id") == ("blue-mug", "7")


def test_the_first_message_of_somebody_without_a_zone_asks_for_the_profile(
    page: Any, deliver: Any, say: Any, happen: Any, row: Any
) -> None:
    zone = {"type": "notification_messages", "notification_messages_timezone": "Asia/Tokyo"}
    deliver(happen("8", optin=zone))
    deliver(say("7"), say("8"))
    deliver(say("7", "again"))
    wanted = "SELECT array_agg(psid) FROM profile_read JOIN contact c ON c.id = contact_id"
    assert row(wanted)[0] == ["7"]
