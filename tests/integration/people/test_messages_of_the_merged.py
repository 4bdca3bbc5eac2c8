"""Messages and campaigns of two contacts who are one person: everybody gets what is theirs once."""

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
from scheduler.contacts.merging import merge_contacts, preview_merge
from scheduler.facts.decisions import contact_facts
from scheduler.outbox.ledger import faults
from scheduler.store import database
from tests.integration.noon import DAY, NOON


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
