"""What is said, learnt and asked at the old address after a merge counts for who is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.consent.choices import Choice, record_choices, record_opt_in, record_opt_out
from scheduler.contacts.activity import count_activity, histogram
from scheduler.contacts.evidence import Evidence, record_evidence, state_zone
from scheduler.contacts.holds import ThreadNews, hand_back, hand_over, hold_contact, record_threads
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.records import patch_contact, upsert_contact
from scheduler.contacts.registry import follow, get_contact
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.facts.context import agent_context
from scheduler.facts.decisions import contact_facts
from scheduler.followups.interests import ask_back_in_stock
from scheduler.store import database
from tests.integration.noon import NOON


def test_a_chain_points_to_its_end(session: Session, page: Any, people: Any, merge: Any, rows: Any) -> None:
    first, second, third = people(3)
    merge("p0", "p1")
    merge("p1", "p2")
    assert follow(session, [first, second, third]) == {first: third, second: third}
    with pytest.raises(Invalid, match="merged into another contact itself"):
        merge("p0", "p1")
    with pytest.raises(Conflict):
        people(1, "q")
        merge("p0", "q0")
    with pytest.raises(Invalid):
        merge("p2", "p2")
    with pytest.raises(NotFound):
        merge("p2", "nobody")


def test_what_the_old_address_says_later_counts_for_the_person(session: Session, people: Any, merge: Any) -> None:
    old, new = people(2)
    merge()
    record_opt_out(session, old, source="message", at=NOON + 5, now=NOON + 5)
    assert contact_facts(session, [new], NOON + 5)[new].opted_out
    record_opt_in(session, old, source="message", at=NOON + 9, now=NOON + 9)
    assert not contact_facts(session, [new], NOON + 9)[new].opted_out
    hold_contact(session, old, NOON + 9)
    assert contact_facts(session, [new], NOON + 9)[new].held


def test_what_is_learnt_of_the_person_at_the_old_address_is_learnt_of_the_survivor(
    session: Session, page: Any, people: Any, merge: Any
) -> None:
    old, new = people(2)
    merge()
    state_zone(session, old, ["Asia/Tokyo"], source="optin", now=NOON)
    facts = contact_facts(session, [old, new], NOON)
    assert (facts[new].timezones, facts[old].timezones) == (("Asia/Tokyo",), ())
    # The newer of what the two addresses tell counts, whatever the order of the rows.
    said = [
        Evidence(contact_id=who, kind="country", value=country, source="api", observed_at=at)
        for who, country, at in ((old, "JP", NOON - 60), (new, "KR", NOON - 90))
    ]
    record_evidence(session, said, NOON)
    assert get_contact(session, page.id, "p1").country == "JP"
    count_activity(session, {old: [NOON, NOON], new: [NOON]}, NOON)
    seen = histogram(session, [old, new], NOON)
    assert seen[new].hours[21] == seen[old].hours[21] == 3000
    changes = {"name": "Ada", "attributes": {"tier": "gold"}}
    assert upsert_contact(session, page.id, "p0", changes=changes, now=NOON).psid == "p1"
    patched = patch_contact(session, page.id, "p0", changes={"attributes": {"likes": ["hats"]}}, now=NOON)
    assert (patched.id, patched.attributes) == (new, {"tier": "gold", "likes": ["hats"]})
    assert get_contact(session, page.id, "p0").attributes == {}


def test_who_answers_at_the_old_address_sees_the_person(
    session: Session, page: Any, people: Any, merge: Any, api: Any
) -> None:
    old, new = people(2)
    ask_back_in_stock(session, old, page.id, "SKU-1", NOON, NOON)
    upsert_contact(session, page.id, "p1", changes={"name": "Ada"}, now=NOON)
    record_inbound(session, old, NOON - 60, NOON)
    merge()
    record_opt_out(session, new, source="message", at=NOON, now=NOON)
    found = agent_context(session, old, NOON)
    assert (found.psid, found.merged_into, found.name) == ("p0", "p1", "Ada")
    assert [each.sku for each in found.products] == ["SKU-1"]
    assert [each["reason"] for each in found.suppressions] == ["opted_out"]
    assert found.window.open
    session.commit()
    assert api("GET", "/pages/555/contacts/p0/interests").json()["items"][0]["sku"] == "SKU-1"
    assert api("GET", "/pages/555/contacts/p0").json()["suppressions"][0]["reason"] == "opted_out"


def test_whom_somebody_of_the_team_talks_to_at_the_old_address_is_in_their_hands(
    session: Session, people: Any, merge: Any, message: Any, rows: Any
) -> None:
    old, new = people(2)
    merge()
    # Another app's hold on a thread is a hold on that address.
    record_threads(session, {old: ThreadNews(away_ms=(NOON - 90) * 1000)}, NOON)
    assert not contact_facts(session, [new], NOON)[new].handover
    record_threads(session, {old: ThreadNews(person_ms=(NOON - 60) * 1000)}, NOON)
    facts = contact_facts(session, [new], NOON)[new]
    assert (facts.handover, facts.handover_at) == (True, NOON - 60)
    waiting = message(new, wakes_on="handback")
    assert hand_back(session, old, NOON)
    assert not contact_facts(session, [new], NOON)[new].handover
    assert rows("SELECT state FROM message WHERE id = :id", id=waiting)[0].state == "due"
    assert hand_over(session, old, by="operator", at=NOON + 9, now=NOON + 9)
    assert contact_facts(session, [new], NOON + 9)[new].handover
    assert hand_back(session, new, NOON + 20)
    assert not contact_facts(session, [new], NOON + 20)[new].handover


def test_people_of_both_addresses_at_once_do_not_deadlock(session: Session, people: Any, merge: Any) -> None:
    # The survivor has the lower id: whoever locked the address first and the survivor after it would go backwards.
    new, old = people(2)
    merge("p1", "p0")
    session.commit()

    def do(n: int) -> None:
        for each in range(12):
            with database.session() as own:
                at = NOON + 60 * each + n
                choices = [
                    Choice(contact_id=who, action="opt_out", source="message", at=at)
                    for who in ((old,) if n % 2 else (new, old))
                ]
                record_choices(own, choices, at)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(do, range(6)))
    assert contact_facts(session, [new], NOON)[new].opted_out
