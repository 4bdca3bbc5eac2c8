"""Preview, plan and dispatch judge alike: what was planned for now is begun now, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.planning import finish_campaigns, plan_next
from scheduler.campaigns.tables import Campaign
from scheduler.outbox.begin import begin
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.noon import HOUR, NOON


@pytest.fixture
def launched(session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]) -> int:
    """A planned campaign for people of every fate."""
    people("ada", first_name="Ada")
    people("bob", locale="de_DE")
    people("tokyo", timezones=["Asia/Tokyo"])
    people("closed", last_inbound_at=NOON - 25 * HOUR)
    template(bodies={"en": {"text": "Hi {{ contact.first_name }}!"}, "de": {"text": "Hallo {{ contact.first_name }}!"}})
    campaign = registry.create_campaign(
        session, page, name="Spring", template="promo", audience="everyone", actor="tests", now=NOON
    )
    assert campaign.id is not None
    lifecycle.launch(session, campaign.id, actor="tests", now=NOON)
    while plan_next(session, NOON):
        session.commit()
    session.commit()
    return campaign.id


def dispatch(session: Session, page: Page, now: int) -> list[Any]:
    assert page.id is not None
    tick(session, now)
    begun = begin(session, "promotional", {page.id: 10}, now)
    session.commit()
    return begun


def test_what_was_seen_and_planned_for_now_is_begun_now(session: Session, page: Page, launched: int) -> None:
    del launched
    draft = registry.create_campaign(
        session, page, name="Again", template="promo", audience="everyone", priority=1, actor="tests", now=NOON
    )
    # It goes before what is only scheduled, which is of lower priority.
    seen = preview.preview(session, draft, NOON)
    begun = dispatch(session, page, NOON)
    assert len(begun) == seen.now == 2
    assert {each.psid: each.content.text for each in begun} == {"ada": "Hi Ada!", "bob": "Hallo !"}
    assert dispatch(session, page, NOON) == []
    # The caps count what was begun: a second look at the same people finds them full.
    again = preview.preview(session, draft, NOON)
    assert (again.now, again.later_reasons.get("quiet_hours")) == (0, 1)


def test_a_paused_campaign_is_parked_at_dispatch_and_goes_on_after_the_resume(
    session: Session, page: Page, launched: int, rows: Callable[..., list[Any]]
) -> None:
    lifecycle.pause(session, launched, actor="tests", now=NOON)
    session.commit()
    assert dispatch(session, page, NOON) == []
    parked = rows("SELECT state, due_at, reason, wakes_on FROM message WHERE wakes_on <> 'inbound'")
    assert [tuple(row) for row in parked] == [("scheduled", None, "campaign_paused", "resume")] * 2
    lifecycle.resume(session, launched, actor="tests", now=NOON + 60)
    session.commit()
    assert {each.psid for each in dispatch(session, page, NOON + 60)} == {"ada", "bob"}


def test_what_comes_back_unsent_after_the_cancel_is_not_sent_again(
    session: Session, page: Page, launched: int, rows: Callable[..., list[Any]]
) -> None:
    begun = dispatch(session, page, NOON)
    assert len(begun) == 2
    lifecycle.cancel(session, launched, actor="tests", now=NOON + 1)
    session.commit()
    settle(
        session,
        [
            Outcome(
                message_id=each.message_id, attempt_id=each.attempt_id, contact_id=each.contact_id,
                page_id=each.page_id, result="not_sent", reason="throttled",
            )
            for each in begun
        ],
        NOON + 1,
    )  # fmt: skip
    session.commit()
    assert dispatch(session, page, NOON + 2) == []
    left = rows("SELECT DISTINCT state, reason, due_at FROM message WHERE state <> 'denied'")
    assert [tuple(row) for row in left] == [("cancelled", "cancelled", None)]
    log = rows("SELECT actor, verdict FROM message_log WHERE from_state = 'due' AND to_state = 'cancelled'")
    assert [tuple(row) for row in log] == [("deliver", None)] * 2


def test_a_campaign_is_finished_when_nothing_of_it_waits_or_flies(
    session: Session, page: Page, launched: int, rows: Callable[..., list[Any]]
) -> None:
    dispatch(session, page, NOON)
    assert finish_campaigns(session) == 0
    rows("UPDATE message SET state = 'sent' WHERE state <> 'denied' RETURNING id")
    assert plan_next(session, NOON) is False
    session.commit()
    assert session.get_one(Campaign, launched, populate_existing=True).status == "finished"
