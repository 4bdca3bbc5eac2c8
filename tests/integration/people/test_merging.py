"""Two contacts who are one person: what holds for who is left."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from scheduler.consent.blocks import suppress
from scheduler.consent.choices import record_opt_in, record_opt_out
from scheduler.consent.grants import Grant, record_grants, withdraw
from scheduler.consent.review import Suggestion, decide, suggest
from scheduler.consent.standing import suppressions
from scheduler.consent.tokens import grant_token, tokens_in_force
from scheduler.contacts.activity import count_activity, histogram
from scheduler.contacts.evidence import state_zone
from scheduler.contacts.holds import hand_over, hold_contact
from scheduler.contacts.identities import Link, find_by_identity, link
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.merging import preview_merge
from scheduler.contacts.records import upsert_contact
from scheduler.contacts.registry import follow, get_contact
from scheduler.facts.decisions import ContactFacts, contact_facts
from scheduler.followups.interests import ask_back_in_stock
from tests.integration.noon import DAY, NOON


def test_the_stricter_of_two_survives(session: Session, people: Any, merge: Any) -> None:
    old, new = people(2)
    record_opt_out(session, old, topic="sales", source="message", at=NOON - 9 * DAY, now=NOON)
    record_opt_out(session, old, source="operator", actor="mara", at=NOON - 8 * DAY, now=NOON)
    record_opt_in(session, new, source="message", at=NOON - DAY, now=NOON)
    suppress(session, old, "blocked", source="send_error", now=NOON - DAY)
    suppress(session, old, "unreachable", source="send_error", now=NOON - DAY)
    hold_contact(session, old, NOON)
    hand_over(session, old, by="operator", at=NOON - 60, now=NOON)
    done = merge()
    assert done.stricter == ["blocked", "opted_out", "held", "handover"]
    standing = {(each["reason"], each["topic"], each["said_by"], each["since"]) for each in suppressions(session, new)}
    # An address that nothing reaches says nothing of the other; what they said since at the other answers what they
    # said of the sales, and not what the team was told.
    assert standing == {
        ("opted_out", None, "operator", NOON - 8 * DAY), ("blocked", None, "platform", NOON - DAY),
    }  # fmt: skip
    facts = contact_facts(session, [new], NOON)[new]
    assert (facts.opted_out, facts.blocked, facts.held, facts.handover) == (True, True, True, True)
    # Not their own word.
    record_opt_in(session, new, source="message", at=NOON + 5, now=NOON + 5)
    assert contact_facts(session, [new], NOON + 5)[new].opted_out


@pytest.mark.parametrize(("answered", "stands"), [(-10, True), (-9, True), (-8, False)])
def test_an_opt_out_comes_along_with_its_own_time(
    session: Session, page: Any, people: Any, merge: Any, answered: int, stands: bool
) -> None:
    old, new = people(2)
    record_opt_out(session, old, source="message", at=NOON - 9 * DAY, now=NOON)
    record_opt_in(session, new, source="message", at=NOON + answered * DAY, now=NOON)
    assert preview_merge(session, page.id, "p0", "p1").stricter == (["opted_out"] if stands else [])
    merge()
    assert contact_facts(session, [new], NOON)[new].opted_out is stands
    if stands:
        assert suppressions(session, new)[0]["since"] == NOON - 9 * DAY
        # A word from in between that comes late is answered as ever: the later one counts.
        record_opt_in(session, new, source="message", at=NOON - 5 * DAY, now=NOON)
        assert not contact_facts(session, [new], NOON)[new].opted_out


def test_a_newer_opt_out_of_the_same_reach_outranks_a_late_word_of_the_survivors(
    session: Session, people: Any, merge: Any
) -> None:
    old, new = people(2)
    record_opt_out(session, new, source="message", at=NOON - 9 * DAY, now=NOON)
    record_opt_out(session, old, source="message", at=NOON - 2 * DAY, now=NOON)
    assert merge().stricter == []
    record_opt_in(session, new, source="message", at=NOON - 5 * DAY, now=NOON)
    assert contact_facts(session, [new], NOON)[new].opted_out


def _grant(contact: int, at: int, **more: Any) -> Grant:
    return Grant(contact_id=contact, kind="express", source="api", wording="Offers?", granted_at=at, **more)


def test_consents_do_not_come_along_and_what_ended_them_does(session: Session, people: Any, merge: Any) -> None:
    old, new = people(2)
    # Agreed to at the old address alone; taken back there, of one topic; ended there by a STOP that was answered since.
    record_grants(session, [_grant(old, NOON - DAY, topic="news")], NOON)
    record_grants(
        session,
        [
            _grant(new, NOON - 9 * DAY, topic="sales"), _grant(new, NOON - 9 * DAY, topic="clubs"),
            _grant(new, NOON - 3 * DAY, topic="events"),
        ],
        NOON,
    )  # fmt: skip
    withdraw(session, old, topic="sales", source="api", at=NOON - 8 * DAY, now=NOON)
    assert preview_merge(session, 1, "p0", "p1").stricter == ["consent_ended"]
    record_opt_out(session, old, source="message", at=NOON - 7 * DAY, now=NOON)
    record_opt_in(session, old, source="message", at=NOON - 6 * DAY, now=NOON)
    assert merge().stricter == ["consent_ended"]
    facts = contact_facts(session, [new], NOON)[new]
    assert [(each.topic, each.granted_at) for each in facts.consents] == [("events", NOON - 3 * DAY)]
    assert not facts.opted_out


def test_tokens_stay_with_the_address_that_they_were_granted_on(session: Session, people: Any, merge: Any) -> None:
    old, new = people(2)
    said: dict[str, Any] = {"topic": "sales", "event_id": None, "at": NOON - DAY, "now": NOON}
    grant_token(session, old, kind="recurring", token="t-old", expires_at=None, **said)
    grant_token(session, new, kind="recurring", token="t-new", expires_at=None, **said)
    merge()
    held = tokens_in_force(session, [old, new])
    assert {who: [each.clear() for each in tokens] for who, tokens in held.items()} == {old: ["t-old"], new: ["t-new"]}
    # Nothing goes to the old address, whatever is in force there.
    assert contact_facts(session, [old], NOON)[old].unreachable


def test_words_that_nobody_judged_yet_hold_the_survivor_and_count_for_them(
    session: Session, page: Any, people: Any, merge: Any, rows: Any
) -> None:
    old, new = people(2)
    suggest(session, [_perhaps(old, 1)], NOON)
    assert preview_merge(session, page.id, "p0", "p1").stricter == ["under_review"]
    assert merge().stricter == ["under_review"]
    # Said at the old address by somebody who looked them up before the merge.
    suggest(session, [_perhaps(old, 2)], NOON)
    facts = contact_facts(session, [new], NOON)[new]
    assert isinstance(facts, ContactFacts)
    assert facts.under_review
    first, second = rows("SELECT id, contact_id FROM consent_review ORDER BY id")
    assert first.contact_id == second.contact_id == new
    decide(session, first.id, "opt_out", actor="tests", now=NOON + 9)
    assert contact_facts(session, [new], NOON + 9)[new].opted_out


def _perhaps(contact: int, event: int) -> Suggestion:
    return Suggestion(contact_id=contact, event_id=event, meaning="opt_out", phrase="leave me", at=NOON - 60)


def test_whoever_was_erased_is_not_written_to_at_another_address(session: Session, people: Any, merge: Any) -> None:
    old, new = people(2)
    suppress(session, old, "erased", source="operator", now=NOON - DAY)
    assert merge().stricter == ["erased"]
    assert contact_facts(session, [new], NOON)[new].erased


def test_a_survivor_who_wrote_since_is_not_blocked_and_a_thread_of_another_app_stays_where_it_is(
    session: Session, people: Any, merge: Any
) -> None:
    old, new = people(2)
    suppress(session, old, "blocked", source="send_error", now=NOON - DAY)
    hand_over(session, old, by="platform", at=NOON - 60, now=NOON)
    record_inbound(session, new, NOON - 60, NOON)
    assert merge().stricter == []
    facts = contact_facts(session, [new], NOON)[new]
    assert (facts.blocked, facts.handover, facts.last_inbound) == (False, False, NOON - 60)


def test_what_speaks_of_the_person_comes_along_and_the_address_keeps_its_own(
    session: Session, page: Any, people: Any, merge: Any
) -> None:
    old, new = people(2)
    upsert_contact(
        session, page.id, "p0", now=NOON - DAY,
        changes={"name": "Ada L", "first_name": "Ada", "country": "JP", "attributes": {"tier": "gold", "a": 1}},
    )  # fmt: skip
    upsert_contact(session, page.id, "p1", changes={"name": "Ada", "attributes": {"a": 2}}, now=NOON)
    state_zone(session, old, ["Asia/Tokyo"], source="optin", now=NOON - DAY)
    state_zone(session, new, ["Asia/Seoul"], source="optin", now=NOON)
    record_inbound(session, old, NOON - 60, NOON)
    count_activity(session, {old: [NOON], new: [NOON]}, NOON)
    link(session, page.id, [Link(contact_id=old, kind="crm_id", value="C-1")], NOON)
    ask_back_in_stock(session, old, page.id, "SKU-1", NOON, NOON)
    ask_back_in_stock(session, old, page.id, "SKU-2", NOON, NOON)
    ask_back_in_stock(session, new, page.id, "SKU-2", NOON, NOON)
    assert merge().identities == 1
    survivor = get_contact(session, page.id, "p1")
    assert (survivor.name, survivor.first_name, survivor.country) == ("Ada", "Ada", "JP")
    assert survivor.attributes == {"tier": "gold", "a": 2}
    assert survivor.timezones == ["Asia/Seoul"]
    assert survivor.last_inbound_at is None
    gone = get_contact(session, page.id, "p0")
    assert (gone.merged_into, gone.last_inbound_at) == (new, NOON - 60)
    assert histogram(session, [new], NOON)[new].hours[21] == 2000
    assert find_by_identity(session, page.id, "crm_id", ["C-1"]) == {"C-1": new}
    assert follow(session, [old, new]) == {old: new}
    # From now on, too.
    ask_back_in_stock(session, old, page.id, "SKU-3", NOON, NOON)
    link(session, page.id, [Link(contact_id=old, kind="crm_id", value="C-2")], NOON)
    assert find_by_identity(session, page.id, "crm_id", ["C-2"]) == {"C-2": new}


def test_open_wishes_come_along_once(session: Session, page: Any, people: Any, merge: Any, rows: Any) -> None:
    old, new = people(2)
    for who, sku in ((old, "SKU-1"), (old, "SKU-2"), (new, "SKU-2")):
        ask_back_in_stock(session, who, page.id, sku, NOON, NOON)
    merge()
    open_wishes = rows("SELECT contact_id, sku FROM interest WHERE served_at IS NULL ORDER BY sku")
    assert [tuple(row) for row in open_wishes] == [(new, "SKU-1"), (new, "SKU-2")]


def test_once_is_enough_and_the_audit_tells(
    session: Session, page: Any, people: Any, merge: Any, message: Any, rows: Any
) -> None:
    old, _new = people(2)
    message(old)
    before = rows("SELECT xmin::text, ctid::text FROM contact ORDER BY id")
    preview = preview_merge(session, page.id, "p0", "p1")
    assert rows("SELECT xmin::text, ctid::text FROM contact ORDER BY id") == before
    assert preview.changes
    assert merge().changes
    again = merge(now=NOON + 5)
    assert (again.changes, again.moved, again.cancelled) == (False, [], [])
    assert not preview_merge(session, page.id, "p0", "p1").changes
    (entry,) = rows("SELECT actor, action, subject, detail FROM audit_entry WHERE action = 'contact.merge'")
    assert (entry.actor, entry.subject) == ("tests", f"contact:{old}")
    assert len(entry.detail["moved"]) == 1
