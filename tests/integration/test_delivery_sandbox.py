"""Deliver to the sandbox over HTTP, with its webhooks coming back to the real web process."""

from __future__ import annotations

import pytest

from scheduler import clock
from scheduler.contacts.profiles import want_profile
from scheduler.contacts.registry import ensure_contacts
from scheduler.outbox.sweep import sweep
from tests.integration.town import Town
from workers.deliver import Channel, Delivery
from workers.profiles import read_profiles


def _deliver(channel: Channel) -> None:
    Delivery("utility", channel, time_slice=10, idle=0.3).run()


def test_a_message_is_sent_delivered_and_read_and_the_witness_has_nothing_to_say(town: Town, channel: Channel) -> None:
    psids = [town.person() for _ in range(12)]
    messages = [town.message(psid) for psid in psids]
    utility = town.message(psids[0], category="utility")
    _deliver(channel)
    for message in (*messages, utility):
        town.until(message, "delivered", "read")
    verdict = town.get("/sandbox/verdict")
    assert verdict["violations"] == []
    assert verdict["accepted"] == 13
    assert town.stage.one("SELECT count(*) FROM message_log WHERE to_state = 'sent'") == 13


def test_an_answer_lost_after_acceptance_is_settled_by_the_echo(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="reset", count=1, accepted=True, echo=True)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "sent", "delivered", "read")
    assert town.get("/sandbox/verdict")["accepted"] == 1


def test_a_failure_after_acceptance_is_doubt_until_the_echo(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="http500_after_accept", count=1)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "sent", "delivered", "read")
    assert town.get("/sandbox/verdict")["violations"] == []


@pytest.mark.parametrize("accepted", [True, False])
def test_doubt_without_an_echo_ends_unconfirmed_and_is_never_doubled(
    town: Town, channel: Channel, accepted: bool
) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="reset", count=1, accepted=accepted, echo=False)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "in_doubt")
    assert sweep(town.session, clock.now() + 901)["unconfirmed"] == 1
    town.stage.commit()
    _deliver(channel)
    town.until(message, "unconfirmed")
    verdict = town.get("/sandbox/verdict")
    assert (verdict["requests"], verdict["violations"]) == (1, [])


def test_a_person_who_blocks_the_page_is_found_out_once(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/say", psid=psid, kind="block")
    first, second = town.message(psid), town.message(psid)
    _deliver(channel)
    town.until(first, "refused")
    town.until(second, "denied")
    assert town.get("/sandbox/verdict")["requests"] == 1


def test_an_opt_out_that_was_acknowledged_is_in_force(town: Town, channel: Channel) -> None:
    psid = town.person()
    message = town.message(psid)
    town.post("/sandbox/say", psid=psid, kind="stop")
    _deliver(channel)
    town.until(message, "denied")
    assert town.get("/sandbox/verdict")["requests"] == 0


def test_wanted_profiles_are_read(town: Town, channel: Channel) -> None:
    known = str(
        town.post(
            "/sandbox/person", page_id=town.page["id"], zone="Asia/Kolkata", evidence="profile_offset", psid="24000001"
        )["psid"]
    )
    shy = str(town.post("/sandbox/person", page_id=town.page["id"], zone="Asia/Kolkata", psid="24000002")["psid"])
    contacts = ensure_contacts(town.session, town.page_id, [known, shy], town.now)
    want_profile(town.session, list(contacts.values()), town.now)
    town.stage.commit()
    assert read_profiles(channel) == 2
    town.stage.commit()
    assert town.stage.one("SELECT utc_offset FROM contact WHERE id = :id", id=contacts[known]) == 330
    rows = town.stage.rows("SELECT contact_id, outcome, done_at IS NOT NULL AS done FROM profile_read")
    assert {row.contact_id: (row.outcome, row.done) for row in rows} == {
        contacts[known]: ("read", True),
        contacts[shy]: ("unavailable", True),
    }
    assert read_profiles(channel) == 0
