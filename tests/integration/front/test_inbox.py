from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlmodel import Session

from scheduler import clock
from scheduler.inbox.intake import receive
from scheduler.outbox.metadata import make_metadata
from scheduler.store import database


def test_a_message_opens_the_window_at_its_own_instant(page: Any, deliver: Any, say: Any, contact: Any) -> None:
    at = clock.now() - 3000
    assert deliver(say("7", at=at)).status_code == 200
    assert contact("7", "page_id, last_inbound_at, held_at") == (page.id, at, None)


def test_the_newest_instant_wins_whatever_comes_last(page: Any, deliver: Any, say: Any, contact: Any) -> None:
    now = clock.now()
    for at in (now - 50, now - 10, now - 90):
        deliver(say("7", at=at))
    deliver(say("8", at=now - 20), say("8", at=now - 5), say("8", at=now - 30))
    assert contact("7", "last_inbound_at")[0] == now - 10
    assert contact("8", "last_inbound_at")[0] == now - 5


def test_a_clock_ahead_of_ours_opens_no_window_from_the_future(page: Any, deliver: Any, say: Any, contact: Any) -> None:
    now = clock.now()
    deliver(say("7", at=now + 86_400))
    assert now <= contact("7", "last_inbound_at")[0] <= clock.now() + 60


@pytest.mark.parametrize(
    ("timestamp", "instant"),
    [
        (1_701_599_111_000, 1_701_599_111),  # milliseconds, as promised
        (1_701_599_111, 1_701_599_111),  # seconds, as seen in production
        ("1701599111000", 1_701_599_111),  # a string
        ("1701599111", 1_701_599_111),  # seconds in a string
        (1_701_599_111_999.0, 1_701_599_111),  # a float
    ],
)
def test_timestamps_are_read_as_they_come(
    page: Any, deliver: Any, say: Any, contact: Any, timestamp: object, instant: int
) -> None:
    deliver({**say("7"), "timestamp": timestamp})
    assert contact("7", "last_inbound_at")[0] == instant


@pytest.mark.parametrize("timestamp", [None, "soon", -1, True, {}, 10**30])
def test_without_a_usable_timestamp_the_entrys_counts(
    page: Any, deliver: Any, say: Any, contact: Any, timestamp: object
) -> None:
    event = {**say("7"), "timestamp": timestamp}
    entry = {"id": page.external_id, "time": (clock.now() - 40) * 1000, "messaging": [event]}
    deliver(raw=json.dumps({"object": "page", "entry": [entry]}).encode())
    assert clock.now() - 60 <= contact("7", "last_inbound_at")[0] <= clock.now() - 40


def test_ids_may_be_numbers(page: Any, deliver: Any, say: Any, contact: Any) -> None:
    event = {**say("7"), "sender": {"id": 1234567890123456}, "recipient": {"id": int(page.external_id)}}
    body = {"object": "page", "entry": [{"id": int(page.external_id), "messaging": [event]}]}
    assert deliver(raw=json.dumps(body).encode()).json() == {"received": 1, "known": 0, "failed": 0}
    assert contact("1234567890123456", "last_inbound_at")[0] is not None


@pytest.mark.parametrize(
    ("what", "opens"),
    [
        ({"postback": {"mid": "m1", "title": "Go", "payload": "GO"}}, True),  # a button
        ({"message": {"mid": "m2", "text": "Red", "quick_reply": {"payload": "RED"}}}, True),  # a quick reply
        ({"message": {"mid": "m3", "attachments": [{"type": "sticker"}]}}, True),  # no words
        ({"reaction": {"reaction": "love", "action": "react", "mid": "m4"}}, True),  # a reaction
        ({"reaction": {"action": "unreact", "mid": "m5"}}, False),  # taken back
        ({"referral": {"ref": "spring", "source": "SHORTLINK", "type": "OPEN_THREAD"}}, True),  # an m.me link
        ({"referral": {"source": "ADS", "type": "OPEN_THREAD"}}, False),  # an advertisement, no word yet
        ({"optin": {"type": "notification_messages", "payload": "sale"}}, False),  # an opt-in
        ({"delivery": {"watermark": 1_701_599_111_000}}, False),  # what we sent arrived
        ({"read": {"watermark": 1_701_599_111_000}}, False),  # what we sent was read
        ({"message_edit": {"mid": "m6", "text": "x", "num_edit": 1}}, False),  # an edit
        ({"account_linking": {"status": "linked"}}, False),  # on no list
        ({"message": {"mid": "m7", "is_deleted": True}}, False),  # a message unsent
        ({"something_new": {"a": 1}}, False),  # not invented yet
    ],
)
def test_what_opens_the_window(
    page: Any, deliver: Any, happen: Any, contact: Any, row: Any, what: dict[str, Any], opens: bool
) -> None:
    assert deliver(happen("7", **what)).json() == {"received": 1, "known": 0, "failed": 0}
    found = contact("7", "last_inbound_at")
    assert (found is not None and found[0] is not None) is opens
    assert row("SELECT applied_at IS NOT NULL, error FROM platform_event") == (True, None)


def test_an_echo_opens_no_window(page: Any, deliver: Any, contact: Any, opted_out: Any, row: Any) -> None:
    message = {"mid": "m_e", "is_echo": True, "app_id": 1, "text": "STOP"}
    echo = {"sender": {"id": page.external_id}, "recipient": {"id": "7"}, "timestamp": 1, "message": message}
    assert deliver(echo).json()["failed"] == 0
    # Whom another app writes to for the page is somebody it talks with; they did nothing themselves.
    assert contact("7", "last_inbound_at, handover_at") == (None, None)
    assert not opted_out("7")
    assert row("SELECT kind, psid FROM platform_event") == ("echo", "7")


def test_an_echo_of_our_own_makes_nobody_a_contact(page: Any, deliver: Any, contact: Any) -> None:
    message = {"mid": "m_e", "is_echo": True, "app_id": 1, "metadata": make_metadata(5, 6)}
    echo = {"sender": {"id": page.external_id}, "recipient": {"id": "7"}, "timestamp": 1, "message": message}
    assert deliver(echo).json()["failed"] == 0
    assert contact("7", "id") is None


def test_a_second_arrival_changes_nothing(page: Any, deliver: Any, say: Any, row: Any) -> None:
    event = say("7", "STOP")
    assert deliver(event).json() == {"received": 1, "known": 0, "failed": 0}
    assert deliver(event).json() == {"received": 0, "known": 1, "failed": 0}
    assert deliver(event, event, say("7")).json() == {"received": 1, "known": 2, "failed": 0}
    assert row("SELECT count(*) FROM platform_event")[0] == 2
    assert row("SELECT count(*) FROM consent_record")[0] == 1


def test_standby_copies_and_a_thread_of_another_app_count_once(
    page: Any, deliver: Any, say: Any, opted_out: Any
) -> None:
    event = say("7", "stop")
    entry = {"id": page.external_id, "standby": [event], "messaging": [event]}
    answer = deliver(raw=json.dumps({"object": "page", "entry": [entry]}).encode())
    assert answer.json() == {"received": 1, "known": 1, "failed": 0}
    assert opted_out("7")


def test_several_entries_of_several_people_in_one_body(
    page: Any, deliver: Any, say: Any, opted_out: Any, row: Any
) -> None:
    events = [say(str(number), "STOP" if number % 3 == 0 else "hello") for number in range(30)]
    assert deliver(*events).json() == {"received": 30, "known": 0, "failed": 0}
    assert [psid for psid in range(30) if opted_out(str(psid))] == list(range(0, 30, 3))
    assert row("SELECT count(last_inbound_at) FROM contact")[0] == 30


def test_many_messages_cost_no_more_statements_than_few(page: Any, say: Any) -> None:
    def statements(count: int, first: int) -> int:
        ran: list[str] = []
        body = {"entry": [{"id": page.external_id, "messaging": [say(str(first + n)) for n in range(count)]}]}
        with Session(database.engine()) as session:
            engine = database.engine()
            keep = lambda *given: ran.append(given[2])  # noqa: E731 - the listener must be named to be removed
            sqlalchemy_event.listen(engine, "before_cursor_execute", keep)
            receive(session, page.app_id, body, clock.now())
            session.commit()
            sqlalchemy_event.remove(engine, "before_cursor_execute", keep)
        return len(ran)

    assert statements(1, 100) == statements(40, 200)
