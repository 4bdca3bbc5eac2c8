from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.inbox.intake import receive
from scheduler.outbox.metadata import make_metadata
from scheduler.store import database

_CONTACT = "SELECT {} FROM contact WHERE psid = :psid"


@pytest.fixture
def contact(row: Any) -> Any:
    """``contact("7", "last_inbound_at")``: columns of a contact."""
    return lambda psid, columns: row(_CONTACT.format(columns), psid=psid)


@pytest.fixture
def opted_out(row: Any) -> Any:
    """``opted_out("7")``: whether an opt-out from everything is in force."""

    def look(psid: str) -> bool:
        query = (
            "SELECT count(*) FROM suppression s JOIN contact c ON c.id = s.contact_id "
            "WHERE psid = :psid AND reason = 'opted_out' AND topic IS NULL AND lifted_at IS NULL"
        )
        return bool(row(query, psid=psid)[0])

    return look


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


def test_an_echo_opens_no_window_and_makes_nobody_a_contact(page: Any, deliver: Any, contact: Any, row: Any) -> None:
    message = {"mid": "m_e", "is_echo": True, "app_id": 1, "text": "STOP"}
    echo = {"sender": {"id": page.external_id}, "recipient": {"id": "7"}, "timestamp": 1, "message": message}
    assert deliver(echo).json()["failed"] == 0
    assert contact("7", "id") is None
    assert row("SELECT kind, psid FROM platform_event") == ("echo", "7")


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


def test_echo_delivery_and_read_move_the_message(page: Any, deliver: Any, say: Any, row: Any) -> None:
    now = clock.now()
    deliver(say("7"))
    message_id, attempt_id = _sending(page.id, "7", now)
    echo = {
        "sender": {"id": page.external_id},
        "recipient": {"id": "7"},
        "timestamp": now * 1000,
        "message": {"mid": "m_out", "is_echo": True, "metadata": make_metadata(message_id, attempt_id)},
    }
    people = {"sender": {"id": "7"}, "recipient": {"id": page.external_id}, "timestamp": now * 1000}
    states = []
    for event in (
        echo,
        {**people, "delivery": {"mids": ["m_out"], "watermark": str(now * 1000)}},
        {**people, "read": {"watermark": (now + 1) * 1000}},
    ):
        assert deliver(event).json()["failed"] == 0
        states.append(row("SELECT state FROM message")[0])
    assert states == ["sent", "delivered", "read"]
    assert row("SELECT mid FROM message")[0] == "m_out"


def test_a_message_from_a_person_wakes_what_waits_for_them(page: Any, deliver: Any, say: Any, row: Any) -> None:
    deliver(say("7"))
    message_id, _ = _sending(page.id, "7", clock.now())
    with Session(database.engine()) as session:
        session.connection().execute(text("DELETE FROM attempt"))
        session.connection().execute(
            text("UPDATE message SET state = 'scheduled', due_at = NULL, wakes_on = 'inbound' WHERE id = :id"),
            {"id": message_id},
        )
        session.commit()
    deliver(say("7", "hello again", at=clock.now() + 1))
    assert row("SELECT state FROM message")[0] == "due"


def _sending(page_id: int, psid: str, now: int) -> tuple[int, int]:
    with Session(database.engine()) as session:
        template_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO template "
                    "(page_id, name, version, category, default_locale, bodies, utility_approved, created_at) "
                    "VALUES (:page_id, 't', 1, 'promotional', 'en', '{}', false, :now) RETURNING id"
                ),
                {"page_id": page_id, "now": now},
            )
            .scalar_one()
        )
        given = {"page_id": page_id, "psid": psid, "now": now, "template_id": template_id}
        message_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, "
                    "crashes, created_at) "
                    "SELECT :page_id, id, :template_id, 'promotional', 'promotional', 'sending', :now, 1, 0, :now "
                    "FROM contact WHERE psid = :psid RETURNING id"
                ),
                given,
            )
            .scalar_one()
        )
        attempt_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
                    "SELECT :message_id, id, :page_id, 'promotional', :now, 'sending' FROM contact "
                    "WHERE psid = :psid RETURNING id"
                ),
                {**given, "message_id": message_id},
            )
            .scalar_one()
        )
        session.commit()
    return message_id, attempt_id
