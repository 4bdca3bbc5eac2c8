"""Messages that wait for their person: what parks them, what wakes them, what ends the wait, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from policies.case import HORIZON
from policies.policy import load_policy, parse_policy
from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import finish_campaigns, plan_next
from scheduler.consent.choices import record_opt_out
from scheduler.contacts.evidence import state_zone
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.merging import merge_contacts
from scheduler.governance.policies import activate_policy
from scheduler.outbox.anew import work_off
from scheduler.outbox.begin import begin
from scheduler.outbox.forgetting import forget_messages
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.noon import DAY, HOUR, NOON

END = NOON + 5 * DAY
Row = tuple[Any, ...]


@pytest.fixture
def launched(session: Session, page: Page, template: Callable[..., Any]) -> Callable[..., int]:
    """``launched(expires_at=…)``: a campaign to everyone, launched and planned; its id."""

    def make(**more: Any) -> int:
        template()
        made = registry.create_campaign(
            session, page, name="Spring", template="promo", audience="everyone", **({"expires_at": END} | more),
            actor="tests", now=NOON,
        )  # fmt: skip
        assert made.id is not None
        lifecycle.launch(session, made.id, actor="tests", now=NOON)
        while plan_next(session, NOON):
            session.commit()
        session.commit()
        return made.id

    return make


@pytest.fixture
def state(rows: Callable[..., list[Any]]) -> Callable[..., Row]:
    """``state(contact)``: (state, reason, wakes_on, due_at, deadline) of their one message."""

    def read(contact: int) -> Row:
        [found] = rows(
            "SELECT state, reason, wakes_on, due_at, deadline FROM message WHERE contact_id = :id", id=contact
        )
        return tuple(found)

    return read


PARKED = ("scheduled", "window_closed", "inbound", None, END)


def go(session: Session, page: Page, now: int) -> list[int]:
    """Whom a batch begins at ``now``."""
    assert page.id is not None
    tick(session, now)
    begun = begin(session, "promotional", {page.id: 10}, now)
    session.commit()
    return [each.contact_id for each in begun]


def test_whoever_writes_four_minutes_later_gets_it(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada, bob = people("ada", "bob", last_inbound_at=None).values()
    launched()
    assert state(ada) == state(bob) == PARKED
    assert go(session, page, NOON + 60) == []
    record_inbound(session, ada, NOON + 240, NOON + 240)
    # Among what is due it takes the place of somebody whose window closes in a day.
    assert state(ada)[0::4] == ("due", NOON + 240 + DAY)
    assert go(session, page, NOON + 241) == [ada]
    assert state(bob) == PARKED


def test_it_is_parked_again_where_their_message_is_not_enough(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    launched()
    # Something else than their message wakes it: the window is as closed as before.
    state_zone(session, ada, ["Europe/Paris"], source="operator", now=NOON + 60)
    assert state(ada)[0] == "due"
    assert go(session, page, NOON + 61) == []
    assert state(ada) == PARKED


def test_an_unknown_zone_heals_when_it_is_given(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada", timezones=None)["ada"]
    launched()
    assert state(ada) == ("scheduled", "unknown_zone", "zone_evidence", None, END)
    state_zone(session, ada, ["Europe/Berlin"], source="api", now=NOON + 60)
    assert go(session, page, NOON + 61) == [ada]


def test_a_consent_that_one_of_two_places_asks_for_heals_when_the_place_is_given(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    asking = '[policy]\nname = "asking"\nextends = "default"\n[consent]\nrequire = "packs"\n'
    assert page.id is not None
    activate_policy(session, page.id, parse_policy(asking, where="t"), actor="tests", why="tests", now=NOON)
    # Germany asks for consent, Norway does not.
    made = people("ada", "ben", timezones=["Europe/Berlin", "Europe/Oslo"], country=None)
    launched()
    assert {state(each) for each in made.values()} == {("scheduled", "no_consent", "zone_evidence", None, END)}
    state_zone(session, made["ada"], ["Europe/Oslo"], source="operator", now=NOON + 60)
    state_zone(session, made["ben"], ["Europe/Berlin"], source="operator", now=NOON + 60)
    assert go(session, page, NOON + 61) == [made["ada"]]
    assert state(made["ben"])[:2] == ("denied", "no_consent")


def test_it_runs_out_at_the_campaigns_end_with_its_reason(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row], rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    made = launched()
    assert finish_campaigns(session) == 0
    assert go(session, page, END - 1) == []
    assert state(ada) == PARKED
    assert go(session, page, END) == []
    assert state(ada)[:2] == ("expired", "window_closed")
    assert finish_campaigns(session) == 1
    assert registry.get_campaign(session, made).status == "finished"
    [last] = rows("SELECT from_state, to_state, reason, actor FROM message_log ORDER BY id DESC LIMIT 1")
    assert tuple(last) == ("scheduled", "expired", "window_closed", "tick")


def test_who_writes_too_late_is_told_that_it_has_run_out(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    launched()
    record_inbound(session, ada, END, END)
    assert go(session, page, END) == []
    assert state(ada)[:2] == ("expired", "expired")


def test_a_campaign_without_an_end_gets_one_and_one_that_does_not_wait_none(
    session: Session, people: Callable[..., dict[str, int]], launched: Callable[..., int], state: Callable[..., Row]
) -> None:
    ada = people("ada", last_inbound_at=None)["ada"]
    assert registry.get_campaign(session, launched(expires_at=None)).expires_at == NOON + HORIZON
    assert state(ada) == (*PARKED[:4], NOON + HORIZON)
    no = registry.get_campaign(session, launched(expires_at=None, may_wait=False))
    assert (no.may_wait, no.expires_at) == (False, None)


def test_a_campaign_that_does_not_wait_denies(
    people: Callable[..., dict[str, int]], launched: Callable[..., int], state: Callable[..., Row]
) -> None:
    ada = people("ada", last_inbound_at=None)["ada"]
    launched(may_wait=False)
    assert state(ada)[:3] == ("denied", "window_closed", None)


def test_a_cancel_takes_it_back(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    lifecycle.cancel(session, launched(), actor="tests", now=NOON + 60)
    assert state(ada)[:2] == ("cancelled", "cancelled")
    record_inbound(session, ada, NOON + 240, NOON + 240)
    assert go(session, page, NOON + 241) == []


def test_nothing_waits_for_who_opts_out(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada, bob = people("ada", "bob", last_inbound_at=None).values()
    launched()
    assert record_opt_out(session, ada, source="api", at=NOON + 60, now=NOON + 60)
    assert go(session, page, NOON + 61) == []
    assert state(ada)[:2] == ("denied", "opted_out")
    assert state(bob) == PARKED


def test_a_pause_does_not_lose_whoever_writes_meanwhile(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    made = launched()
    lifecycle.pause(session, made, actor="tests", now=NOON + 60)
    record_inbound(session, ada, NOON + 240, NOON + 240)
    assert go(session, page, NOON + 241) == []
    assert state(ada)[:3] == ("scheduled", "campaign_paused", "resume")
    lifecycle.resume(session, made, actor="tests", now=NOON + HOUR)
    assert go(session, page, NOON + HOUR) == [ada]


def test_a_hold_that_outlasts_the_window_does_not_end_it(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row],
) -> None:  # fmt: skip
    ada = people("ada")["ada"]
    made = launched()
    lifecycle.pause(session, made, actor="tests", now=NOON)
    assert go(session, page, NOON + 1) == []
    closes = state(ada)[4]
    assert state(ada)[:3] == ("scheduled", "campaign_paused", "resume")
    assert go(session, page, closes) == []
    assert state(ada) == PARKED
    lifecycle.resume(session, made, actor="tests", now=closes + HOUR)
    record_inbound(session, ada, closes + 2 * HOUR, closes + 2 * HOUR)
    # Their morning: the window that they opened is still open then.
    assert go(session, page, closes + 2 * HOUR) == [ada]


@pytest.mark.parametrize("heard", [True, False], ids=["wrote lately", "never wrote"])
def test_a_new_policy_decides_those_whom_it_may_concern(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    state: Callable[..., Row], rows: Callable[..., list[Any]], heard: bool,
) -> None:  # fmt: skip
    assert page.id is not None
    narrow = parse_policy('[policy]\nname = "n"\n[messaging_window]\nmargin = "23h"\n', where="t")
    activate_policy(session, page.id, narrow, actor="tests", why="test", now=NOON)
    ada = people("ada", last_inbound_at=NOON - 2 * HOUR if heard else None)["ada"]
    launched()
    assert state(ada) == PARKED
    activate_policy(session, page.id, load_policy("platform-only"), actor="tests", why="test", now=NOON + 60)
    while work_off(session, NOON + 60).found:
        session.commit()
    assert go(session, page, NOON + 61) == ([ada] if heard else [])
    # Whom nothing in a policy can let go costs nothing: no row is written.
    assert (rows("SELECT count(*) FROM message_log")[0][0] == 1) is not heard


def test_it_goes_on_to_who_stands_for_the_person(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    assert page.id is not None
    people("old", last_inbound_at=None)
    launched()
    new = people("new", last_inbound_at=None)["new"]
    merge_contacts(session, page.id, "old", "new", actor="tests", now=NOON + 60)
    session.commit()
    assert go(session, page, NOON + 61) == []
    assert [tuple(row) for row in rows("SELECT contact_id, wakes_on FROM message")] == [(new, "inbound")]
    record_inbound(session, new, NOON + 240, NOON + 240)
    assert go(session, page, NOON + 241) == [new]


def test_an_erasure_takes_it_back(
    session: Session, people: Callable[..., dict[str, int]], launched: Callable[..., int], state: Callable[..., Row]
) -> None:
    ada = people("ada", last_inbound_at=None)["ada"]
    launched()
    forget_messages(session, [ada], actor="tests", now=NOON + 60)
    assert state(ada)[:2] == ("cancelled", "erased")


def test_of_two_that_wait_the_second_waits_on_when_the_first_has_gone(
    session: Session, page: Page, people: Callable[..., dict[str, int]], launched: Callable[..., int],
    rows: Callable[..., list[Any]],
) -> None:  # fmt: skip
    ada = people("ada", last_inbound_at=None)["ada"]
    first, second = launched(), launched()
    record_inbound(session, ada, NOON + 240, NOON + 240)
    assert go(session, page, NOON + 241) == [ada]
    session.connection().exec_driver_sql("UPDATE attempt SET outcome = 'sent'")
    session.connection().exec_driver_sql("UPDATE message SET state = 'sent' WHERE state = 'sending'")
    assert go(session, page, NOON + 242) == []
    left = rows("SELECT campaign_id, state, reason, wakes_on FROM message ORDER BY id")
    assert [tuple(row) for row in left] == [
        (first, "sent", None, None), (second, "scheduled", "window_closes_before_cap", "inbound"),
    ]  # fmt: skip
    record_inbound(session, ada, NOON + 2 * DAY, NOON + 2 * DAY)
    assert go(session, page, NOON + 2 * DAY) == [ada]
