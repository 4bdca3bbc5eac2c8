"""Two contacts who are one person."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.campaigns.lifecycle import launch
from scheduler.campaigns.planning import plan_next
from scheduler.campaigns.registry import create_campaign
from scheduler.campaigns.tables import Campaign
from scheduler.consent.blocks import suppress
from scheduler.consent.choices import Choice, record_choices, record_opt_in, record_opt_out
from scheduler.consent.grants import Grant, record_grants, withdraw
from scheduler.consent.review import Suggestion, decide, suggest
from scheduler.consent.standing import suppressions
from scheduler.consent.tokens import grant_token, tokens_in_force
from scheduler.contacts.activity import count_activity, histogram
from scheduler.contacts.evidence import Evidence, record_evidence, state_zone
from scheduler.contacts.holds import ThreadNews, hand_back, hand_over, hold_contact, record_threads
from scheduler.contacts.identities import Link, find_by_identity, link
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.merging import merge_contacts, preview_merge
from scheduler.contacts.records import patch_contact, upsert_contact
from scheduler.contacts.registry import follow, get_contact
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.facts.context import agent_context
from scheduler.facts.decisions import ContactFacts, contact_facts
from scheduler.followups.interests import ask_back_in_stock
from scheduler.outbox.ledger import faults
from scheduler.store import database

NOON = 1_777_982_400
DAY = 86_400


@pytest.fixture
def merge(session: Session, page: Any) -> Callable[..., Any]:
    """``merge("p0", "p1")``: p1 stands for p0 from then on."""

    def do(psid: str = "p0", into: str = "p1", now: int = NOON) -> Any:
        return merge_contacts(session, page.id, psid, into, actor="tests", now=now)

    return do


@pytest.fixture
def campaign(session: Session, page: Any, template: Any) -> Callable[..., int]:
    """``campaign("planning", plan_cursor=3)``: a campaign to everyone; its id."""
    content = template("campaign")

    def make(status: str = "running", **more: Any) -> int:
        made = Campaign(
            page_id=page.id, name="c", template_id=content.id, audience="everyone", status=status, created_at=0, **more
        )
        session.add(made)
        session.commit()
        assert made.id is not None
        return made.id

    return make


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


def test_nothing_is_sent_to_the_address_any_more_and_sends_to_both_count(
    session: Session, page: Any, people: Any, merge: Any, message: Any, rows: Any
) -> None:
    old, new = people(2)
    for who, at in ((old, NOON - 3 * DAY), (new, NOON - 2 * DAY)):
        rows(
            "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
            "VALUES (:message, :who, :page, 'promotional', :at, 'sent') RETURNING id",
            message=message(who, "sent"), who=who, page=page.id, at=at,
        )  # fmt: skip
    merge()
    facts = contact_facts(session, [old, new], NOON)
    assert facts[old].unreachable
    assert not facts[new].unreachable
    assert [send.at for send in facts[new].sends] == [NOON - 3 * DAY, NOON - 2 * DAY]


def test_messages_go_on_or_are_taken_back_and_nobody_gets_the_same_twice(
    session: Session, people: Any, merge: Any, message: Any, campaign: Any, rows: Any
) -> None:
    old, new = people(2)
    shared, only_old, sent_to_old, planning, passed = (
        campaign(), campaign(), campaign(), campaign("planning", plan_cursor=old, plan_until=new),
        campaign("planning", plan_cursor=new, plan_until=new),
    )  # fmt: skip
    moved = {message(old, campaign_id=only_old), message(old, campaign_id=passed), message(old, "due")}
    cancelled = {
        message(old, campaign_id=shared), message(old, campaign_id=planning), message(old, attempts=1),
    }  # fmt: skip
    message(new, "denied", campaign_id=shared)
    message(old, "read", campaign_id=sent_to_old)
    cancelled.add(message(new, campaign_id=sent_to_old))
    flying = message(old, "in_doubt")
    preview = preview_merge(session, 1, "p0", "p1")
    done = merge()
    assert (preview.moved, preview.cancelled, preview.stricter) == (done.moved, done.cancelled, done.stricter)
    assert set(done.moved) == moved
    assert set(done.cancelled) == cancelled
    states = {row.id: (row.contact_id, row.state, row.reason) for row in rows("SELECT * FROM message")}
    assert {states[each] for each in moved} == {(new, "due", None)}
    assert {states[each][1:] for each in cancelled} == {("cancelled", "merged")}
    assert states[flying] == (old, "in_doubt", None)
    logged = rows("SELECT message_id, from_state, to_state, actor FROM message_log WHERE reason = 'merged'")
    assert {row.message_id for row in logged} == moved | cancelled
    assert {row.actor for row in logged} == {"tests"}


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


@pytest.fixture
def launched(session: Session, page: Any, people: Any, template: Any, rows: Any) -> list[int]:
    """Four people with open windows, and a campaign to everyone that is to be planned."""
    ids: list[int] = people(4)
    rows("UPDATE contact SET last_inbound_at = :at, timezones = '{UTC}' RETURNING id", at=NOON - 60)
    template("spring")
    _launch(session, page)
    return ids


def _launch(session: Session, page: Any) -> None:
    made = create_campaign(
        session, page, name="Spring", template="spring", audience="everyone", actor="tests", now=NOON
    )
    assert made.id is not None
    launch(session, made.id, actor="tests", now=NOON)
    session.commit()


@pytest.mark.parametrize("merge_after", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(("gone", "into"), [("p0", "p2"), ("p2", "p0")])
def test_a_merge_in_the_middle_of_planning_leaves_one_message_a_person(
    session: Session, page: Any, launched: list[int], merge: Any, rows: Any, merge_after: int, gone: str, into: str
) -> None:
    chunks = 0
    more = True
    while more:
        if chunks == merge_after:
            merge(gone, into)
            session.commit()
        more = plan_next(session, NOON, 1)
        session.commit()
        chunks += 1
    if merge_after >= chunks:
        merge(gone, into)
        session.commit()
    waiting = rows("SELECT contact_id, count(*) AS n FROM message WHERE state IN ('scheduled', 'due') GROUP BY 1")
    survivor = launched[int(into[1])]
    others = {launched[1], launched[3]}
    assert {row.contact_id: row.n for row in waiting} == dict.fromkeys({survivor, *others}, 1)
    assert faults(session) == []
    # The next one has the survivor alone in its audience.
    _launch(session, page)
    while plan_next(session, NOON):
        session.commit()
    newest = rows("SELECT contact_id FROM message WHERE campaign_id = (SELECT max(id) FROM campaign)")
    assert {row.contact_id for row in newest} == {survivor, *others}


@pytest.mark.parametrize("launch_first", [False, True])
@pytest.mark.parametrize("listed", [["p0"], ["p0", "p2"], ["p2"]])
def test_a_listed_audience_has_the_survivor_in_place_of_the_merged(
    session: Session, page: Any, launched: list[int], merge: Any, rows: Any, listed: list[str], launch_first: bool
) -> None:
    made = create_campaign(session, page, name="L", template="spring", audience=listed, actor="tests", now=NOON)
    assert made.id is not None
    if launch_first:
        launch(session, made.id, actor="tests", now=NOON)
    merge("p0", "p2")
    if not launch_first:
        launch(session, made.id, actor="tests", now=NOON)
    session.commit()
    while plan_next(session, NOON):
        session.commit()
    planned = rows("SELECT contact_id, state FROM message WHERE campaign_id = :id", id=made.id)
    assert [tuple(row) for row in planned] == [(launched[2], "scheduled")]


def test_merges_of_the_same_people_at_once_are_one(session: Session, page: Any, launched: list[int], rows: Any) -> None:
    while plan_next(session, NOON):
        session.commit()
    session.commit()

    def do(n: int) -> bool:
        with database.session() as own:
            return bool(merge_contacts(own, page.id, "p0", "p1", actor=f"t{n}", now=NOON).changes)

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(do, range(6)))
    assert done.count(True) == 1
    assert len(rows("SELECT * FROM audit_entry WHERE action = 'contact.merge'")) == 1
    assert faults(session) == []
