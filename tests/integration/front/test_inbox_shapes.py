"""Every shape of the platform's reference, and what follows from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.tokens import tokens_in_force
from scheduler.store import database

PAGE_INBOX = 263902037430900


@pytest.fixture
def tell(deliver: Any) -> Any:
    """``tell(page, field=…, value=…)``: a change of the page."""

    def change(page: Any, field: str, value: object, *, at: int | None = None) -> Any:
        entry = {"id": page.external_id, "time": at or clock.now(), "changes": [{"field": field, "value": value}]}
        return deliver(raw=json.dumps({"object": "page", "entry": [entry]}).encode())

    return change


def _echo(page: Any, psid: str, at: int, **message: Any) -> dict[str, Any]:
    said = {"mid": f"e{at}", "is_echo": True, "text": "I am looking into it", **message}
    return {"sender": {"id": page.external_id}, "recipient": {"id": psid}, "timestamp": at * 1000, "message": said}


@pytest.mark.parametrize(
    ("what", "opens"),
    [
        ({"message": {"mid": "m1", "text": "/flights", "commands": [{"name": "flights"}]}}, True),
        ({"message": {"mid": "m2", "attachments": [{"type": "fallback"}]}}, True),
        ({"message": {"mid": "m3", "text": "and?", "reply_to": {"mid": "m0", "is_self_reply": True}}}, True),
        ({"message": {"mid": "m4", "text": "hi", "referral": {"source": "ADS", "type": "OPEN_THREAD"}}}, True),
        ({"referral": {"source": "LEAD_COMPLETE", "type": "OPEN_THREAD"}}, True),
        ({"optin": {"ref": "homepage"}}, True),  # Send to Messenger
        ({"optin": {"type": "one_time_notif_req", "one_time_notif_token": "t", "payload": "restock"}}, False),
        ({"response_feedback": {"feedback": "Good response", "mid": "m5"}}, False),
        ({"request_thread_control": {"requested_owner_app_id": PAGE_INBOX}}, False),
    ],
)
def test_what_opens_the_window(
    page: Any, deliver: Any, happen: Any, contact: Any, what: dict[str, Any], opens: bool
) -> None:
    assert deliver(happen("7", **what)).json() == {"received": 1, "known": 0, "failed": 0}
    assert (contact("7", "last_inbound_at")[0] is not None) is opens


def test_a_checkbox_names_nobody_yet(page: Any, deliver: Any, row: Any) -> None:
    event = {"recipient": {"id": page.external_id}, "optin": {"ref": "cart", "user_ref": "abc"}}
    assert deliver(event).json()["failed"] == 0
    assert row("SELECT count(*) FROM contact")[0] == 0


def test_the_first_message_after_an_advertisement_is_remembered(
    page: Any, deliver: Any, say: Any, happen: Any, contact: Any
) -> None:
    now = clock.now()
    deliver(happen("7", referral={"source": "ADS", "type": "OPEN_THREAD", "ad_id": "6"}, at=now - 30))
    assert contact("7", "ad_inbound_at, last_inbound_at") == (None, None)
    deliver(say("7", referral={"source": "ADS", "ad_id": "6"}, at=now - 20))
    deliver(say("7", "still there?", at=now - 10))
    assert contact("7", "ad_inbound_at, last_inbound_at") == (now - 20, now - 10)


def test_a_person_who_answers_from_the_pages_inbox_has_the_conversation(
    page: Any, deliver: Any, say: Any, happen: Any, contact: Any
) -> None:
    now = clock.now()
    deliver(say("7", at=now - 60))
    deliver(_echo(page, "7", now - 50, app_id=PAGE_INBOX))
    assert contact("7", "handover_by, handover_at") == ("person", now - 50)
    # They go on, and what the contact answers to our app gives nothing back.
    deliver(_echo(page, "7", now - 40, app_id=PAGE_INBOX), say("7", "thank you", at=now - 35))
    assert contact("7", "handover_by, handover_at") == ("person", now - 40)
    deliver(happen("7", pass_thread_control={"new_owner_app_id": "900100"}, at=now - 30))
    assert contact("7", "handover_by, handover_at") == (None, None)
    # What they wrote before that comes late.
    deliver(_echo(page, "7", now - 45, app_id=PAGE_INBOX))
    assert contact("7", "handover_by, handover_at") == (None, None)


@pytest.mark.parametrize(("app", "by"), [({}, "person"), ({"app_id": None}, "person"), ({"app_id": 5}, None)])
def test_what_no_app_wrote_was_written_by_a_person(
    page: Any, deliver: Any, say: Any, contact: Any, app: dict[str, Any], by: str | None
) -> None:
    now = clock.now()
    deliver(say("7", at=now - 60), _echo(page, "7", now - 50, **app))
    assert contact("7", "handover_by")[0] == by


def test_whom_a_person_of_the_team_writes_to_first_is_a_contact(page: Any, deliver: Any, contact: Any) -> None:
    deliver(_echo(page, "7", clock.now(), app_id=PAGE_INBOX))
    assert contact("7", "handover_by, last_inbound_at") == ("person", None)


def test_an_operator_hands_back_what_a_person_has(page: Any, deliver: Any, api: Any, contact: Any) -> None:
    deliver(_echo(page, "7", clock.now(), app_id=PAGE_INBOX))
    path = f"/pages/{page.external_id}/contacts/7"
    assert api("POST", f"{path}/handback").json()["handover_by"] is None
    assert api("POST", f"{path}/handover").json()["handover_by"] == "operator"
    assert api("POST", f"{path}/handback").json()["handover_by"] is None


@pytest.mark.parametrize("first", ["message", "deletion"])
def test_a_message_that_was_taken_back_is_kept_without_its_words(
    page: Any, deliver: Any, happen: Any, row: Any, contact: Any, first: str
) -> None:
    now = clock.now()
    said = happen(
        "7", message={"mid": "m1", "text": "my number is 555", "attachments": [{"type": "image"}]}, at=now - 9
    )
    edited = happen("7", message_edit={"mid": "m1", "text": "my number is 556", "num_edit": 1}, at=now - 8)
    gone = happen("7", message={"mid": "m1", "is_deleted": True}, at=now - 5)
    for events in ((said, edited), (gone,)) if first == "message" else ((gone,), (said, edited)):
        assert deliver(*events).json()["failed"] == 0
    kept = row("SELECT count(*), bool_or(body::text LIKE '%number%'), bool_and(body -> 'sender' ->> 'id' = '7') "
               "FROM platform_event")  # fmt: skip
    assert kept == (3, False, True)
    # They wrote all the same.
    assert contact("7", "last_inbound_at")[0] == now - 9
    assert deliver(said).json()["known"] == 1
    assert row("SELECT bool_or(body::text LIKE '%number%') FROM platform_event")[0] is False


def test_words_taken_back_may_have_been_a_stop(page: Any, deliver: Any, say: Any, happen: Any, opted_out: Any) -> None:
    deliver(happen("7", message={"mid": "m1", "text": "STOP"}))
    deliver(happen("7", message={"mid": "m1", "is_deleted": True}))
    assert opted_out("7")


def test_a_token_is_granted_stopped_and_resumed(page: Any, deliver: Any, happen: Any, row: Any) -> None:
    now = clock.now()
    granted = {
        "type": "notification_messages", "payload": "sale", "title": "Offers of the week",
        "notification_messages_token": 123456, "notification_messages_timezone": "Asia/Tokyo",
        "token_expiry_timestamp": (now + 86_400) * 1000, "user_token_status": "NOT_REFRESHED",
    }  # fmt: skip
    assert deliver(happen("7", optin=granted, at=now - 30)).json()["failed"] == 0

    def held() -> list[tuple[str, str | None, str, int | None]]:
        with Session(database.engine()) as session:
            contact_id = session.execute(text("SELECT id FROM contact WHERE psid = '7'")).scalar_one()
            found = tokens_in_force(session, [contact_id]).get(contact_id, [])
            return sorted((each.kind, each.topic, each.clear(), each.expires_at) for each in found)

    assert held() == [("marketing", "sale", "123456", now + 86_400), ("recurring", "sale", "123456", now + 86_400)]
    assert row("SELECT topic, kind, granted_at FROM consent") == ("sale", "express", now - 30)
    stop = {"type": "notification_messages", "payload": "sale", "notification_messages_status": "STOP NOTIFICATIONS"}
    deliver(happen("7", optin=stop, at=now - 20))
    assert held() == []
    resume = {**stop, "notification_messages_status": "RESUME NOTIFICATIONS"}
    deliver(happen("7", optin=resume, at=now - 10))
    assert len(held()) == 2


def test_a_one_time_token_is_good_for_a_year(page: Any, deliver: Any, happen: Any, row: Any) -> None:
    now = clock.now()
    deliver(
        happen("7", optin={"type": "one_time_notif_req", "payload": "restock", "one_time_notif_token": "t"}, at=now)
    )
    assert row("SELECT kind, topic, expires_at FROM permission_token") == ("one_time", "restock", now + 365 * 86_400)


@pytest.mark.parametrize(
    "optin",
    [
        {"type": "one_time_notif_req", "payload": "restock"},  # no token
        {"type": "notification_messages", "payload": "sale", "notification_messages_token": {"a": 1}},  # no text
        {"type": "notification_messages", "notification_messages_status": "PAUSE"},  # a word that we do not know
    ],
)
def test_an_opt_in_that_cannot_be_understood_holds(
    page: Any, deliver: Any, happen: Any, contact: Any, optin: dict[str, Any]
) -> None:
    assert deliver(happen("7", optin=optin)).json()["failed"] == 1
    assert contact("7", "held_at IS NOT NULL")[0]


def test_a_phrase_inside_a_sentence_is_for_a_person_to_judge(
    page: Any, deliver: Any, say: Any, opted_out: Any, row: Any
) -> None:
    deliver(say("7", "please stop sending me these messages"), say("8", "can you help me"))
    assert not opted_out("7")
    assert row("SELECT meaning, psid FROM consent_review r JOIN contact c ON c.id = r.contact_id") == ("opt_out", "7")


def test_an_appointment_tells_the_zone(page: Any, deliver: Any, say: Any, contact: Any) -> None:
    booked = {"type": "appointment_booking", "payload": {"timezone": "America/Denver"}}
    deliver(say("7", None, attachments=[booked]))
    assert contact("7", "timezones")[0] == ["America/Denver"]


def test_the_platform_blocks_a_page_and_lets_it_go(page: Any, deliver: Any, row: Any) -> None:
    def enforced(action: str, at: int) -> None:
        event = {
            "recipient": {"id": page.external_id},
            "timestamp": at * 1000,
            "policy_enforcement": {"action": action},
        }
        assert deliver(event).json() == {"received": 1, "known": 0, "failed": 0}

    now = clock.now()
    stopped = "SELECT stopped_reason FROM page"
    enforced("warning", now - 40)
    assert row(stopped)[0] is None
    enforced("block", now - 30)
    assert row(stopped)[0] == "policy_enforcement"
    enforced("unblock", now - 20)
    assert row(stopped)[0] is None
    # What was before that comes late.
    enforced("block", now - 25)
    assert row(stopped)[0] is None


def test_what_the_platform_says_of_a_template_grounds_or_frees_ours(
    page: Any, tell: Any, row: Any, session: Session
) -> None:
    session.execute(
        text(
            "INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_name, "
            "utility_approved, created_at) VALUES (:page, 't', 1, 'utility', 'en', '{}', 'shipped', false, 1)"
        ),
        {"page": page.id},
    )
    session.commit()
    now = clock.now()
    said = {"message_template_id": 1, "message_template_name": "shipped", "message_template_language": "en"}
    approved = "SELECT utility_approved FROM template"
    for field, event, at, after in (
        ("message_template_status_update", "APPROVED", now - 50, True),
        ("messenger_template_status_update", "REJECTED", now - 40, False),
        ("message_template_status_update", "APPROVED", now - 45, False),  # older than the refusal
        ("message_template_status_update", "PENDING", now - 35, False),
        ("message_template_status_update", "APPROVED", now - 30, True),
    ):
        assert tell(page, field, {**said, "event": event, "reason": "NONE"}, at=at).json()["failed"] == 0
        assert row(approved)[0] is after
    other = {**said, "message_template_language": "de", "event": "REJECTED", "reason": "TAG_SHOULD_BE_MARKETING"}
    tell(page, "message_template_status_update", other, at=now - 20)
    assert row(approved)[0] is False
    assert row("SELECT detail ->> 'reason' FROM audit_entry ORDER BY id DESC")[0] == "TAG_SHOULD_BE_MARKETING"


def test_a_change_of_the_pages_standing_is_kept_and_told(page: Any, tell: Any, row: Any) -> None:
    assert tell(page, "business_integrity", {"status": "RESTRICTED"}).json()["failed"] == 0
    assert row("SELECT kind, applied_at IS NOT NULL FROM platform_event") == ("business_integrity", True)


def test_a_change_that_says_nothing_usable_is_kept_with_its_error(page: Any, tell: Any, row: Any) -> None:
    for value in ("APPROVED", {"event": "APPROVED"}):
        assert tell(page, "message_template_status_update", value).json()["failed"] == 1
    assert row("SELECT count(error) FROM platform_event")[0] == 2


def test_instagram_is_kept_apart(page: Any, deliver: Any, say: Any, row: Any) -> None:
    event = say("7", "STOP")
    body = {"object": "instagram", "entry": [{"id": page.external_id, "messaging": [event]}]}
    assert deliver(raw=json.dumps(body).encode()).json() == {"received": 1, "known": 0, "failed": 0}
    assert row("SELECT kind, page_id, psid FROM platform_event") == ("instagram", None, None)
    assert row("SELECT count(*) FROM contact")[0] == 0
    # The same ids on the page are somebody else's.
    assert deliver(event).json() == {"received": 1, "known": 0, "failed": 0}


def test_pages_and_people_in_one_body_are_both_applied(
    page: Any, deliver: Any, say: Any, opted_out: Any, row: Any
) -> None:
    block = {"recipient": {"id": page.external_id}, "timestamp": 1, "policy_enforcement": {"action": "block"}}
    wrong = {"recipient": {"id": page.external_id}, "timestamp": 2, "policy_enforcement": {"action": "ban"}}
    assert deliver(block, say("7", "STOP"), wrong).json() == {"received": 3, "known": 0, "failed": 1}
    assert opted_out("7")
    assert row("SELECT stopped_reason FROM page")[0] == "policy_enforcement"
