"""When people are awake."""

from __future__ import annotations

import random
from typing import Any

from sqlmodel import Session

from policies.slots import Wish
from scheduler.contacts.activity import HALF_LIFE, count_activity, histogram
from scheduler.contacts.evidence import Evidence, record_evidence, state_zone
from tests.integration.noon import HOUR, NOON


def _in(session: Session, who: int, kind: Any, value: Any) -> None:
    record_evidence(session, [Evidence(contact_id=who, kind=kind, value=value, source="api", observed_at=NOON)], NOON)


def test_hours_are_the_persons_own(session: Session, people: Any) -> None:
    berlin, tokyo = people(2)
    state_zone(session, berlin, ["Europe/Berlin"], source="optin", now=NOON)
    state_zone(session, tokyo, ["Asia/Tokyo"], source="optin", now=NOON)
    count_activity(session, {berlin: [NOON, NOON], tokyo: [NOON]}, NOON)
    found = histogram(session, [berlin, tokyo], NOON)
    assert [(hour, n) for hour, n in enumerate(found[berlin].hours) if n] == [(14, 2000)]
    assert [(hour, n) for hour, n in enumerate(found[tokyo].hours) if n] == [(21, 1000)]
    assert found[tokyo].local
    assert found[tokyo].zones == ("Asia/Tokyo",)
    # It is what a schedule's wish takes.
    assert Wish(kind="best_hour", hours=found[tokyo].hours, zone=found[tokyo].zones[0]).hours[21] == 1000


def test_old_instants_fade_by_half(session: Session, people: Any) -> None:
    (who,) = people(1)
    state_zone(session, who, ["Atlantic/Reykjavik"], source="api", now=NOON)
    count_activity(session, {who: [NOON - HALF_LIFE]}, NOON)
    assert histogram(session, [who], NOON)[who].hours[12] == 500
    assert histogram(session, [who], NOON + 2 * HALF_LIFE)[who].hours[12] == 125


def test_any_order_and_any_grouping_leaves_the_same(session: Session, people: Any, rows: Any) -> None:
    first, second = people(2)
    for who in (first, second):
        _in(session, who, "offset", 330)
    chance = random.Random(7)
    instants = [NOON - chance.randrange(90 * 86_400) for _ in range(200)]
    count_activity(session, {first: instants}, NOON)
    for instant in reversed(instants):
        count_activity(session, {second: [instant]}, NOON)
    stored = {
        who: rows("SELECT hour, weight FROM contact_activity WHERE contact_id = :id ORDER BY hour", id=who)
        for who in (first, second)
    }
    assert stored[first] == stored[second] != []


def test_candidates_share_and_those_far_apart_tell_nothing(session: Session, people: Any) -> None:
    offset, country, none = people(3)
    _in(session, offset, "offset", 0)
    _in(session, country, "country", "RU")
    count_activity(session, {who: [NOON] for who in (offset, country, none)}, NOON)
    found = histogram(session, [offset, country, none], NOON)
    assert found[offset].hours[11:14] == (333, 333, 333)
    # Russia's clocks are ten hours apart.
    for who in (country, none):
        assert not found[who].local
        assert found[who].hours[12] == 1000
        assert found[who].zones == ()


def test_what_was_counted_before_the_zone_was_known_becomes_local(session: Session, people: Any) -> None:
    (who,) = people(1)
    count_activity(session, {who: [NOON]}, NOON)
    state_zone(session, who, ["Asia/Tokyo"], source="optin", now=NOON)
    count_activity(session, {who: [NOON]}, NOON)
    assert histogram(session, [who], NOON)[who].hours[21] == 2000


def test_instants_ahead_count_as_now_and_nobody_is_left_out_loudly(session: Session, people: Any) -> None:
    (who,) = people(1)
    count_activity(session, {who: [NOON + HOUR * 5], who + 1: [NOON]}, NOON)
    count_activity(session, {}, NOON)
    count_activity(session, {who: []}, NOON)
    assert histogram(session, [who, who + 1], NOON).keys() == {who}
    assert histogram(session, [], NOON) == {}
    assert histogram(session, [who], NOON)[who].hours[12] == 1000


def test_ten_thousand_people_take_two_statements(session: Session, people: Any, statements: list[str]) -> None:
    ids = people(10_000)
    statements.clear()
    count_activity(session, {who: [NOON, NOON - HOUR] for who in ids}, NOON)
    assert len(statements) == 2
    statements.clear()
    assert len(histogram(session, ids, NOON)) == 10_000
    assert len(statements) == 2
