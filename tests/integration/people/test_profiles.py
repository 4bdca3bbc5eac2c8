"""Profile reads: who is asked for, how often, and who is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.evidence import set_offset
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.profiles import (
    A_SECOND,
    FORBIDDEN_PAUSE,
    FRESH,
    THROTTLED_PAUSE,
    ReadAnswer,
    due_profile_reads,
    profile_reads_done,
    want_profile,
)
from tests.integration.noon import NOON


@pytest.fixture(autouse=True)
def _real_time(set_environment: Any) -> None:
    """A second of machines is a second."""
    set_environment(DULY_CLOCK_RATE="1")


def _answers(reads: Any, outcome: str, profile: Any = None, wait: float | None = None) -> list[ReadAnswer]:
    return [ReadAnswer(contact_id=read.contact_id, profile=profile, outcome=outcome, wait=wait) for read in reads]


def test_a_page_is_asked_so_much_a_second_and_does_not_stand_in_anothers_way(
    session: Session, people: Any, make_page: Any
) -> None:
    many = people(100)
    other = make_page("556")
    few = people(3, "q", other)
    want_profile(session, many, NOON - 10)
    want_profile(session, few, NOON)
    first = due_profile_reads(session, NOON, 50)
    assert len([read for read in first if read.contact_id in many]) == A_SECOND
    assert [read.contact_id for read in first if read.contact_id in few] == few
    assert due_profile_reads(session, NOON, 50) == []
    assert len(due_profile_reads(session, NOON + 1, 50)) == A_SECOND


def test_an_old_offset_is_read_again_when_the_person_writes(session: Session, people: Any, one: Any) -> None:
    (who,) = people(1)
    record_inbound(session, who, NOON, NOON)
    (read,) = due_profile_reads(session, NOON, 9)
    profile_reads_done(session, _answers([read], "read", {"timezone": 2, "locale": "de_DE"}), NOON)
    record_inbound(session, who, NOON + FRESH - 1, NOON + FRESH - 1)
    assert due_profile_reads(session, NOON + FRESH - 1, 9) == []
    record_inbound(session, who, NOON + FRESH, NOON + FRESH)
    (again,) = due_profile_reads(session, NOON + FRESH, 9)
    assert again.attempts == 1
    profile_reads_done(session, _answers([again], "read", {"timezone": 1, "locale": "de_AT"}), NOON + FRESH)
    assert tuple(one("SELECT utc_offset, utc_offset_read_at, locale FROM contact")) == (60, NOON + FRESH, "de_AT")


@pytest.mark.parametrize("outcome", ["unavailable", "refused"])
def test_whoever_has_no_profile_is_asked_for_again_after_as_long(session: Session, people: Any, outcome: str) -> None:
    (who,) = people(1)
    want_profile(session, [who], NOON)
    profile_reads_done(session, _answers(due_profile_reads(session, NOON, 9), outcome), NOON)
    want_profile(session, [who], NOON + FRESH - 1)
    assert due_profile_reads(session, NOON + FRESH - 1, 9) == []
    want_profile(session, [who], NOON + FRESH)
    assert len(due_profile_reads(session, NOON + FRESH, 9)) == 1


def test_a_zone_that_was_stated_needs_no_profile(session: Session, people: Any, one: Any) -> None:
    (who,) = people(1)
    set_offset(session, who, 60, NOON - FRESH)
    one("UPDATE contact SET timezones = '{Asia/Tokyo}' RETURNING id")
    want_profile(session, [who], NOON)
    assert due_profile_reads(session, NOON, 9) == []


def test_a_page_whose_app_may_not_read_is_left_alone_for_a_while_then_the_reads_give_up(
    session: Session, people: Any, rows: Any
) -> None:
    want_profile(session, people(5), NOON)
    at = NOON
    for round_ in range(3):
        reads = due_profile_reads(session, at, 50)
        assert len(reads) == 5, round_
        profile_reads_done(session, _answers(reads, "forbidden"), at)
        assert due_profile_reads(session, at + FORBIDDEN_PAUSE - 1, 50) == []
        at += FORBIDDEN_PAUSE
    assert due_profile_reads(session, at + 10 * FORBIDDEN_PAUSE, 50) == []
    assert {(row.outcome, row.done_at is None) for row in rows("SELECT * FROM profile_read")} == {("refused", False)}
    assert [row.reason for row in rows("SELECT reason FROM profile_pause")] == ["forbidden"]


def test_one_person_who_may_not_be_read_stops_nobody_else(session: Session, people: Any, rows: Any) -> None:
    want_profile(session, people(3), NOON)
    first, *others = due_profile_reads(session, NOON, 50)
    profile_reads_done(
        session, [*_answers([first], "forbidden"), *_answers(others, "read", {"first_name": "Ada"})], NOON
    )
    assert rows("SELECT * FROM profile_pause") == []
    assert [read.contact_id for read in due_profile_reads(session, NOON + 5, 50)] == [first.contact_id]


@pytest.mark.parametrize(("wait", "pause"), [(None, THROTTLED_PAUSE), (90.0, 90), (0.0, 1), (10**9, 24 * 3600)])
def test_a_throttled_page_waits_as_long_as_it_was_told_and_no_try_is_lost(
    session: Session, people: Any, wait: float | None, pause: int
) -> None:
    want_profile(session, people(3), NOON)
    profile_reads_done(session, _answers(due_profile_reads(session, NOON, 50), "throttled", wait=wait), NOON)
    assert due_profile_reads(session, NOON + pause - 1, 50) == []
    assert [read.attempts for read in due_profile_reads(session, NOON + pause, 50)] == [1, 1, 1]


def test_odd_profiles_hurt_nobody(session: Session, people: Any, rows: Any) -> None:
    want_profile(session, people(4), NOON)
    odd: list[dict[str, object]] = [
        {"first_name": "A\x00da\ud800", "locale": "not a locale", "timezone": "nowhere"},
        {"first_name": 7, "name": ["x"], "locale": None, "timezone": 99},
        {},
        {"name": "x" * 5000, "timezone": -3.5},
    ]
    reads = due_profile_reads(session, NOON, 50)
    answers = [
        ReadAnswer(contact_id=read.contact_id, profile=profile, outcome="read")
        for read, profile in zip(reads, odd, strict=True)
    ]
    profile_reads_done(session, answers, NOON)
    found = rows("SELECT first_name, length(name) AS length, locale, utc_offset FROM contact ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("Ada", None, None, None), (None, None, None, None), (None, None, None, None), (None, 200, None, -210),
    ]  # fmt: skip


def test_a_thousand_answers_take_as_many_statements_as_one(
    session: Session, people: Any, statements: list[str]
) -> None:
    want_profile(session, people(1000), NOON)
    reads, at = [], NOON
    while found := due_profile_reads(session, at, 50):
        reads += found
        at += 1
    assert len(reads) == 1000
    statements.clear()
    profile_reads_done(session, _answers(reads[:1], "read", {"timezone": 1, "locale": "de_DE", "name": "A"}), at)
    few = len(statements)
    statements.clear()
    profile_reads_done(session, _answers(reads[1:], "read", {"timezone": 1, "locale": "de_DE", "name": "A"}), at)
    assert len(statements) == few
