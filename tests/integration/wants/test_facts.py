from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Facts, Send
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.governance.switches import Scope, engage, release
from scheduler.outbox.plan import Wish
from scheduler.pages.tables import Page
from tests.integration.noon import DAY, NOON


def test_nobody_and_unknown_ids_are_left_out(session: Session, people: Callable[..., dict[str, int]]) -> None:
    ada = people("ada")["ada"]
    assert contact_facts(session, [], NOON) == {}
    assert contact_facts(session, [ada, 999_999], NOON).keys() == {ada}


def test_evidence_is_read_as_it_is_stored(session: Session, people: Callable[..., dict[str, int]]) -> None:
    made = people(
        "ada", timezones=["Europe/Berlin", "Europe/Paris"], utc_offset=120, country="DE", region="DE-BY", locale="de_DE"
    )
    made |= people("bob", timezones=None, last_inbound_at=None)
    facts = contact_facts(session, list(made.values()), NOON)
    assert facts[made["bob"]] == Facts()
    assert facts[made["ada"]] == Facts(
        timezones=("Europe/Berlin", "Europe/Paris"),
        utc_offset=120,
        country="DE",
        region="DE-BY",
        locale="de_DE",
        last_inbound=NOON - 2 * 3600,
    )


def test_suppressions_in_force_are_facts_and_lifted_ones_are_not(
    session: Session, people: Callable[..., dict[str, int]]
) -> None:
    made = people("all", "some", "blocked", "gone", "unreachable", "again")
    for psid, reason, topic, lifted in [
        ("all", "opted_out", None, None), ("some", "opted_out", "sales", None), ("some", "opted_out", "news", None),
        ("blocked", "blocked", None, None), ("gone", "erased", None, None), ("unreachable", "unreachable", None, None),
        ("again", "opted_out", None, NOON),
    ]:  # fmt: skip
        session.execute(
            text("INSERT INTO suppression (contact_id, reason, topic, since, lifted_at) VALUES (:c, :r, :t, 0, :l)"),
            {"c": made[psid], "r": reason, "t": topic, "l": lifted},
        )
    found = contact_facts(session, list(made.values()), NOON)
    facts = {psid: found[contact] for psid, contact in made.items()}
    assert [psid for psid in facts if facts[psid].opted_out] == ["all"]
    assert facts["some"].opted_out_topics == ("news", "sales")
    assert [psid for psid in facts if facts[psid].blocked] == ["blocked"]
    assert [psid for psid in facts if facts[psid].erased] == ["gone"]
    assert [psid for psid in facts if facts[psid].unreachable] == ["unreachable"]


def test_sends_are_the_attempts_of_thirty_days_that_were_not_refused(
    session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]
) -> None:
    ada = people("ada")["ada"]
    saved = template()
    for at, outcome in [
        (NOON - 31 * DAY, "sent"), (NOON - 2 * DAY, "sent"), (NOON - DAY, "refused"), (NOON - 60, "not_sent"),
        (NOON - 50, "in_doubt"), (NOON - 3 * DAY, "unconfirmed"),
    ]:  # fmt: skip
        message = session.execute(
            text(
                "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, "
                "crashes, created_at) "
                "VALUES (:p, :c, :t, 'promotional', 'promotional', 'sent', 0, 1, 0, 0) RETURNING id"
            ),
            {"p": page.id, "c": ada, "t": saved.id},
        ).scalar_one()
        session.execute(
            text(
                "INSERT INTO attempt (message_id, contact_id, page_id, category, ground, begun_at, outcome) "
                "VALUES (:m, :c, :p, 'promotional', 'standard_window', :at, :o)"
            ),
            {"m": message, "c": ada, "p": page.id, "at": at, "o": outcome},
        )
    sends = contact_facts(session, [ada], NOON)[ada].sends
    assert sends == tuple(
        Send(at=at, category="promotional", ground="standard_window")
        for at in (NOON - 3 * DAY, NOON - 2 * DAY, NOON - 50)
    )


def test_a_page_in_mode_test_allows_its_list_only(
    session: Session, page: Page, people: Callable[..., dict[str, int]]
) -> None:
    made = people("ada", "bob")
    session.execute(text("UPDATE page SET mode = 'test'"))
    session.execute(text("INSERT INTO page_allowed (page_id, psid) VALUES (:p, 'ada')"), {"p": page.id})
    facts = contact_facts(session, list(made.values()), NOON)
    assert (facts[made["ada"]].not_allowed, facts[made["bob"]].not_allowed) == (False, True)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ("UPDATE contact SET handover_at = 1", "handover"),
        ("UPDATE contact SET held_at = 1", "held"),
        ("UPDATE page SET stopped_at = 1", "page_stopped"),
    ],
)
def test_holds_are_facts(session: Session, people: Callable[..., dict[str, int]], change: str, fact: str) -> None:
    ada = people("ada")["ada"]
    before = contact_facts(session, [ada], NOON)[ada]
    session.execute(text(change))
    after = contact_facts(session, [ada], NOON)[ada]
    assert (getattr(before, fact), getattr(after, fact)) == (False, True)


def test_when_a_person_took_the_thread_is_a_fact(session: Session, people: Callable[..., dict[str, int]]) -> None:
    ada = people("ada", handover_at=NOON - 60)["ada"]
    assert contact_facts(session, [ada], NOON)[ada].handover_at == NOON - 60


def test_switches_reach_the_messages_in_their_scope(
    session: Session, page: Page, people: Callable[..., dict[str, int]], template: Callable[..., Any]
) -> None:
    assert page.id is not None
    approved = template(
        "shipped", "Order", category="utility", utility_name="shipped", utility_approved=True,
        bodies={"en": {"text": "Order", "parameters": {}}},
    )  # fmt: skip
    promo = template()
    ours = Wish(page_id=page.id, template_id=approved.id, category="utility", expires_at=NOON + 5)
    other = Wish(page_id=page.id + 1, template_id=promo.id, category="promotional", topic="sales")
    base = Facts(locale="en_US")
    facts = for_message(base, ours, switches(session))
    assert (facts.template_approved, facts.kill_switch, facts.expires_at, facts.locale) == (
        True,
        False,
        NOON + 5,
        "en_US",
    )
    assert base == Facts(locale="en_US")
    on_page = engage(session, Scope(page_id=page.id), actor="tests", why="a wrong price", now=NOON)
    thrown = switches(session)
    assert for_message(base, ours, thrown).kill_switch
    assert not for_message(base, other, thrown).kill_switch
    assert for_message(base, other, thrown).topic == "sales"
    everywhere = engage(session, Scope(), actor="tests", why="everything", now=NOON)
    assert on_page.id is not None
    assert everywhere.id is not None
    release(session, on_page.id, actor="tests", now=NOON)
    assert for_message(base, other, switches(session)).kill_switch
    release(session, everywhere.id, actor="tests", now=NOON)
    assert not for_message(base, ours, switches(session)).kill_switch
