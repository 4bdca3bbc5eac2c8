"""Messages on tokens, from the opt-in's webhook to the platform and back, judged by the witness."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from scheduler.api.instants import format_instant
from scheduler.consent import tokens
from scheduler.pages import changes
from scheduler.pages.tables import Page
from tests.integration.town import Town
from workers.deliver import Channel, Delivery


def _granter(town: Town, country: str, kind: str = "optin", **said: Any) -> str:
    """Somebody who granted a token and never wrote."""
    psid = str(town.post("/sandbox/person", page_id=town.page["id"], zone=town.zone, country=country)["psid"])
    town.post("/sandbox/say", psid=psid, kind=kind, payload="sales", **said)
    town.stage.commit()
    town.session.execute(text("UPDATE contact SET country = :c WHERE psid = :p"), {"c": country, "p": psid})
    town.stage.commit()
    return psid


def _pay(town: Town) -> None:
    page = town.session.get_one(Page, town.page_id)
    changes.set_marketing(
        town.session, page, town.page["ad_account_id"], town.page["message_campaign_id"], actor="test", now=town.now
    )
    town.stage.commit()


def _deliver(channel: Channel) -> None:
    Delivery("promotional", channel, time_slice=10, idle=0.3).run()


def test_each_kind_of_token_carries_its_message_and_the_witness_has_nothing_to_say(
    town: Town, channel: Channel
) -> None:
    _pay(town)
    free, paid = _granter(town, "DE"), _granter(town, "US")
    once = _granter(town, "US", kind="one_time")
    messages = {psid: town.message(psid, topic="sales") for psid in (free, paid, once)}
    _deliver(channel)
    for message in messages.values():
        town.until(message, "delivered", "read")
    verdict = town.get("/sandbox/verdict")
    assert (verdict["violations"], verdict["accepted"]) == ([], 3)
    assert verdict["by_kind"] == {"RECURRING": 1, "MARKETING": 1, "ONE_TIME": 1}
    # What went so lately does not go again, and what was spent never.
    again = {psid: town.message(psid, topic="sales") for psid in (free, paid, once)}
    _deliver(channel)
    town.until(again[free], "scheduled")
    town.until(again[paid], "scheduled")
    town.until(again[once], "denied")
    assert town.get("/sandbox/verdict")["requests"] == 3


def test_a_topic_that_was_stopped_gets_nothing_and_one_resumed_does(town: Town, channel: Channel) -> None:
    # In one second's words the stop counts: so each in a second of its own.
    psid = _granter(town, "DE", at=format_instant(town.now - 120))
    town.post("/sandbox/say", psid=psid, kind="stop_updates", payload="sales", at=format_instant(town.now - 60))
    stopped = town.message(psid, topic="sales")
    _deliver(channel)
    town.until(stopped, "denied")
    town.post("/sandbox/say", psid=psid, kind="resume_updates", payload="sales")
    resumed = town.message(psid, topic="sales")
    _deliver(channel)
    town.until(resumed, "sent", "delivered", "read")
    verdict = town.get("/sandbox/verdict")
    assert (verdict["violations"], verdict["requests"]) == ([], 1)


def test_what_the_platform_refuses_gives_the_token_back_or_ends_it(town: Town, channel: Channel) -> None:
    psid = _granter(town, "DE")
    town.post("/sandbox/fault", kind="error", code=10, subcode=1893015, accepted=False)
    message = town.message(psid, topic="sales")
    _deliver(channel)
    town.until(message, "refused")
    assert tokens.tokens_in_force(town.session, [town.contact(psid)]) == {}
    assert town.stage.one("SELECT count(*) FROM permission_token WHERE last_used_at IS NULL") == 2


def test_nothing_of_a_token_is_logged(
    town: Town, channel: Channel, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    psid = _granter(town, "DE")
    message = town.message(psid, topic="sales")
    (held, *_) = tokens.tokens_in_force(town.session, [town.contact(psid)])[town.contact(psid)]
    _deliver(channel)
    town.until(message, "sent", "delivered", "read")
    told = capsys.readouterr()
    assert held.clear() not in told.out + told.err + caplog.text
