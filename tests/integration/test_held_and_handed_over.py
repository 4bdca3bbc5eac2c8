"""People whom nothing reaches for a while: held after an event that failed, or while somebody else has the thread."""

from __future__ import annotations

from typing import Any

import pytest

from policies.policy import parse_policy
from scheduler.contacts.holds import OPERATOR, hand_back, hand_over, release_contact
from scheduler.governance.policies import activate_policy
from scheduler.inbox.intake import receive
from scheduler.outbox.begin import Begun, begin
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from scheduler.pages.registry import app_of_page
from tests.unit.delivery.stage import NOON, Stage

HOUR = 3600
WEEK = 7 * 24 * HOUR
#: A person may keep the thread for a week.
PATIENT = parse_policy('[policy]\nname = "patient"\n[handover]\ntimeout = "7d"\n', where="patient.policy.toml")
OURS, PAGE_INBOX = "77", "263902037430900"


def _begin(stage: Stage, now: int) -> list[Begun]:
    return begin(stage.session, "promotional", {stage.page: 10}, now)


def _told(stage: Stage, contact: int, at: int, channel: str = "messaging", **what: Any) -> int:
    """The platform tells of an event of that person; returns how many could not be applied."""
    event = {"sender": {"id": stage.psid(contact)}, "recipient": {"id": "1001"}, "timestamp": at * 1000} | what
    body = {"object": "page", "entry": [{"id": "1001", "time": at * 1000, channel: [event]}]}
    app = int(stage.one("SELECT app_id FROM page WHERE id = :id", id=stage.page))
    return receive(stage.session, app, body, at).failed


def _parked(stage: Stage, message: int) -> tuple[Any, ...]:
    return tuple(stage.row("SELECT state, due_at, reason, wakes_on FROM message WHERE id = :id", id=message))


def _handover(stage: Stage, contact: int) -> tuple[Any, ...]:
    return tuple(stage.row("SELECT handover_at, handover_by FROM contact WHERE id = :id", id=contact))


def test_who_is_held_gets_nothing_until_a_person_released_them(stage: Stage) -> None:
    contact = stage.contact()
    message, other = stage.message(contact), stage.message(stage.contact())
    assert _told(stage, contact, NOON, message={"mid": "m", "text": ["STOP"]}) == 1
    assert [begun.message_id for begun in _begin(stage, NOON)] == [other]
    assert _parked(stage, message) == ("scheduled", None, "contact_held", "resume")
    assert release_contact(stage.session, contact, NOON + 60)
    assert [begun.message_id for begun in _begin(stage, NOON + 60)] == [message]


def test_a_thread_that_another_app_has_is_waited_for(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    [begun] = _begin(stage, NOON)
    refused = Outcome(
        message_id=message, attempt_id=begun.attempt_id, contact_id=contact, page_id=stage.page, result="not_sent",
        reason="thread_taken", code=10, subcode=2018300, effect="handover",
    )  # fmt: skip
    assert settle(stage.session, [refused], NOON + 1) == 1
    assert _handover(stage, contact) == (NOON + 1, "platform")
    assert stage.one("SELECT count(*) FROM suppression") == 0
    assert _begin(stage, NOON + 2) == []
    assert _parked(stage, message) == ("scheduled", None, "handover", "handback")
    assert _told(stage, contact, NOON + 60, pass_thread_control={"new_owner_app_id": int(OURS)}) == 0
    assert _handover(stage, contact) == (None, None)
    assert [begun.message_id for begun in _begin(stage, NOON + 60)] == [message]


@pytest.mark.parametrize(
    ("what", "away"),
    [
        ({"pass_thread_control": {"new_owner_app_id": PAGE_INBOX, "previous_owner_app_id": OURS}}, True),
        ({"pass_thread_control": {"new_owner_app_id": OURS}}, False),
        ({"take_thread_control": {"previous_owner_app_id": OURS}}, True),
        ({"take_thread_control": {"previous_owner_app_id": OURS, "new_owner_app_id": PAGE_INBOX}}, True),
        ({"take_thread_control": {"previous_owner_app_id": PAGE_INBOX, "new_owner_app_id": OURS}}, False),
        ({"request_thread_control": {"requested_owner_app_id": PAGE_INBOX}}, False),
    ],
)
def test_the_platform_tells_who_has_the_thread(stage: Stage, what: dict[str, Any], away: bool) -> None:
    assert app_of_page(stage.session, stage.page) == OURS
    contact = stage.contact()
    message = stage.message(contact)
    assert _told(stage, contact, NOON, **what) == 0
    assert _handover(stage, contact) == ((NOON, "platform") if away else (None, None))
    assert len(_begin(stage, NOON)) == (0 if away else 1)
    assert (stage.state(message) == "scheduled") is away


def test_a_pass_to_nobody_holds_until_a_person_looks(stage: Stage) -> None:
    contact = stage.contact()
    assert _told(stage, contact, NOON, pass_thread_control={"metadata": "x"}) == 1
    assert stage.one("SELECT held_at FROM contact WHERE id = :id", id=contact) == NOON


def test_who_writes_to_us_is_ours_again_and_a_copy_says_nothing(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    _told(stage, contact, NOON, take_thread_control={"previous_owner_app_id": OURS})
    assert _begin(stage, NOON) == []
    _told(stage, contact, NOON + 10, "standby", message={"mid": "m1", "text": "hello?"})
    assert _handover(stage, contact) == (NOON, "platform")
    _told(stage, contact, NOON - 10, message={"mid": "m0", "text": "from before"})
    assert _handover(stage, contact) == (NOON, "platform")
    assert _begin(stage, NOON + 10) == []
    _told(stage, contact, NOON + 20, message={"mid": "m2", "text": "hello!"})
    assert _handover(stage, contact) == (None, None)
    assert [begun.message_id for begun in _begin(stage, NOON + 20)] == [message]


def test_what_a_person_of_the_team_took_only_they_or_the_platform_in_so_many_words_give_back(stage: Stage) -> None:
    contact = stage.contact()
    message = stage.message(contact)
    assert hand_over(stage.session, contact, by=OPERATOR, at=NOON, now=NOON)
    assert not hand_over(stage.session, contact, by="platform", at=NOON + 5, now=NOON + 5)
    assert _begin(stage, NOON) == []
    _told(stage, contact, NOON + 10, message={"mid": "m", "text": "hello?"})
    assert _handover(stage, contact) == (NOON, "operator")
    assert _begin(stage, NOON + 10) == []
    assert hand_back(stage.session, contact, NOON + 20)
    assert not hand_back(stage.session, contact, NOON + 20)
    assert [begun.message_id for begun in _begin(stage, NOON + 20)] == [message]


def test_a_thread_that_nobody_hands_back_is_ours_again_when_its_time_is_over(stage: Stage) -> None:
    activate_policy(stage.session, stage.page, PATIENT, actor="test", why="test", now=NOON)
    contact = stage.contact()
    message = stage.message(contact)
    over = NOON + HOUR
    assert hand_over(stage.session, contact, by=OPERATOR, at=over - WEEK, now=over - WEEK)
    assert _begin(stage, NOON) == []
    # It goes by itself then, or as soon as the conversation is handed back.
    assert _parked(stage, message) == ("scheduled", over, "handover", "handback")
    assert tick(stage.session, over - 1) == {}
    assert tick(stage.session, over) == {"promotional": 1}
    assert [begun.message_id for begun in _begin(stage, over)] == [message]
    assert _parked(stage, message) == ("sending", over, None, None)


def test_handing_back_wakes_what_would_have_waited_for_its_time(stage: Stage) -> None:
    activate_policy(stage.session, stage.page, PATIENT, actor="test", why="test", now=NOON)
    contact = stage.contact()
    message = stage.message(contact)
    assert hand_over(stage.session, contact, by=OPERATOR, at=NOON + HOUR - WEEK, now=NOON)
    assert _begin(stage, NOON) == []
    assert _parked(stage, message) == ("scheduled", NOON + HOUR, "handover", "handback")
    assert hand_back(stage.session, contact, NOON + 60)
    assert [begun.message_id for begun in _begin(stage, NOON + 60)] == [message]


def test_the_time_counts_from_what_the_person_wrote_last(stage: Stage) -> None:
    activate_policy(stage.session, stage.page, PATIENT, actor="test", why="test", now=NOON)
    contact, other = stage.contact(), stage.contact()
    message = stage.message(contact)
    assert hand_over(stage.session, contact, by=OPERATOR, at=NOON + HOUR - WEEK, now=NOON)
    for who in (contact, other):
        # What another app says to somebody for the page comes back to us, too.
        said = {"mid": f"m{who}", "text": "I am here to help", "is_echo": True, "app_id": 5}
        page_says = {"sender": {"id": "1001"}, "recipient": {"id": stage.psid(who)}}
        assert _told(stage, who, NOON + 3 * HOUR - WEEK, message=said, **page_says) == 0
    assert _begin(stage, NOON) == []
    assert _parked(stage, message) == ("scheduled", NOON + 3 * HOUR, "handover", "handback")
    assert _handover(stage, contact) == (NOON + 3 * HOUR - WEEK, "operator")
    assert _handover(stage, other) == (None, None)
