"""Where people are: whose word counts, and what becomes of their messages."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.evidence import Evidence, forget_evidence, record_evidence, set_offset, state_zone
from scheduler.contacts.records import upsert_contact
from scheduler.errors import Invalid

NOON = 1_777_982_400
DAY = 86_400


def _said(contact_id: int, kind: Any, value: Any, source: str, observed_at: int = NOON, **more: Any) -> Evidence:
    return Evidence(contact_id=contact_id, kind=kind, value=value, source=source, observed_at=observed_at, **more)


def test_the_surer_evidence_counts_then_the_newer_then_the_better_source(
    session: Session, people: Any, one: Any
) -> None:
    (who,) = people(1)

    def zone() -> tuple[list[str], str]:
        return tuple(one("SELECT timezones, timezones_source FROM contact"))

    assert record_evidence(session, [_said(who, "zone", "Asia/Tokyo", "import")], NOON) == {who}
    assert zone() == (["Asia/Tokyo"], "import")
    # Older and surer.
    record_evidence(session, [_said(who, "zone", "Europe/Paris", "optin", NOON - 9 * DAY)], NOON)
    assert zone() == (["Europe/Paris"], "optin")
    # As sure and newer.
    record_evidence(session, [_said(who, "zone", "Europe/Rome", "api", NOON - 8 * DAY)], NOON)
    assert zone() == (["Europe/Rome"], "api")
    # As sure and as new: what the shop states stands before what the device says.
    assert record_evidence(session, [_said(who, "zone", "Europe/Oslo", "optin", NOON - 8 * DAY)], NOON) == set()
    assert zone() == (["Europe/Rome"], "api")
    # An import that says how sure it is.
    record_evidence(session, [_said(who, "zone", ["America/Chicago", "America/Denver"], "import", confidence=1)], NOON)
    assert zone() == (["America/Chicago", "America/Denver"], "import")


def test_an_older_word_of_the_same_source_changes_nothing_whatever_the_order(
    session: Session, people: Any, rows: Any
) -> None:
    first, second = people(2)
    new, old = ("Asia/Seoul", NOON), ("Asia/Tokyo", NOON - DAY)
    for value, at in (new, old):
        record_evidence(session, [_said(first, "zone", value, "optin", at)], NOON)
    record_evidence(session, [_said(second, "zone", value, "optin", at) for value, at in (new, old)], NOON)
    assert [row.timezones for row in rows("SELECT timezones FROM contact")] == [["Asia/Seoul"]] * 2


def test_of_two_words_of_one_instant_from_the_platform_the_order_of_arrival_decides_nothing(
    session: Session, people: Any, rows: Any
) -> None:
    first, second, third, fourth = people(4)
    zones = ("Asia/Seoul", "Asia/Tokyo", "America/New_York", "Asia/Seoul")
    for who, said in ((first, zones), (second, zones[::-1])):
        for zone in said:
            record_evidence(session, [_said(who, "zone", zone, "optin")], NOON)
    for who, said in ((third, zones), (fourth, zones[::-1])):
        record_evidence(session, [_said(who, "zone", zone, "optin") for zone in said], NOON)
    assert {tuple(row.timezones) for row in rows("SELECT timezones FROM contact")} == {("Asia/Tokyo",)}
    # Whoever else says something anew corrects what they said.
    for zone in ("Asia/Tokyo", "Asia/Seoul"):
        record_evidence(session, [_said(first, "zone", zone, "api")], NOON)
    assert rows("SELECT timezones FROM contact ORDER BY id")[0].timezones == ["Asia/Seoul"]


def test_words_from_the_future_count_as_now(session: Session, people: Any, one: Any) -> None:
    (who,) = people(1)
    record_evidence(session, [_said(who, "zone", "Asia/Tokyo", "optin", NOON + 10 * DAY)], NOON)
    record_evidence(session, [_said(who, "zone", "Asia/Seoul", "optin", NOON + 1)], NOON + 1)
    assert one("SELECT timezones FROM contact").timezones == ["Asia/Seoul"]


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        ((1.0, NOON), (1.0, NOON - 1), ("US", None)),
        ((1.0, NOON - 1), (1.0, NOON), ("CA", "CA-ON")),
        ((1.0, NOON), (1.0, NOON), ("CA", "CA-ON")),
        ((0.9, NOON), (1.0, NOON - 99), ("CA", "CA-ON")),
    ],
)
def test_a_region_outside_of_the_country_leaves_the_better_of_the_two(
    session: Session, people: Any, one: Any, country: Any, region: Any, expected: Any
) -> None:
    (who,) = people(1)
    record_evidence(
        session,
        [
            _said(who, "country", "US", "import", country[1], confidence=country[0]),
            _said(who, "region", "CA-ON", "api", region[1], confidence=region[0]),
        ],
        NOON,
    )
    assert tuple(one("SELECT country, region FROM contact")) == expected


def test_better_evidence_wakes_messages_and_the_same_again_does_not(
    session: Session, people: Any, one: Any, message: Any
) -> None:
    (who,) = people(1)
    waiting = message(who)
    locale = _said(who, "locale", "de_DE", "profile")
    assert record_evidence(session, [locale], NOON) == set()
    assert one("SELECT state FROM message WHERE id = :id", id=waiting).state == "scheduled"
    assert set_offset(session, who, 120, NOON)
    assert one("SELECT state FROM message WHERE id = :id", id=waiting).state == "due"
    assert not set_offset(session, who, 120, NOON + 1)
    assert one("SELECT utc_offset_read_at AS at FROM contact").at == NOON + 1


def test_forgetting_forgets_whoever_said_it(session: Session, people: Any, one: Any, rows: Any) -> None:
    (who,) = people(1)
    state_zone(session, who, ["Asia/Tokyo"], source="optin", now=NOON)
    upsert_contact(session, 1, "p0", changes={"timezone": "Asia/Seoul", "country": "KR"}, now=NOON)
    assert forget_evidence(session, [who], ["zone"], NOON) == {who}
    row = one("SELECT timezones, timezones_source, country FROM contact")
    assert tuple(row) == (None, None, "KR")
    assert [row.kind for row in rows("SELECT kind FROM place_evidence")] == ["country"]
    assert forget_evidence(session, [who], ["zone"], NOON) == set()
    # What comes after counts again.
    assert state_zone(session, who, ["Asia/Tokyo"], source="optin", now=NOON)


def test_what_the_row_knew_without_evidence_stays(session: Session, people: Any, one: Any, rows: Any) -> None:
    (who,) = people(1)
    rows("UPDATE contact SET timezones = ARRAY['Asia/Tokyo'], country = 'JP' RETURNING id")
    set_offset(session, who, 540, NOON)
    assert tuple(one("SELECT timezones, country, utc_offset FROM contact")) == (["Asia/Tokyo"], "JP", 540)


@pytest.mark.parametrize(
    ("kind", "value", "source", "field"),
    [
        ("zone", "Mars/Olympus", "api", "zone.0"),
        ("zone", [], "api", "kind"),
        ("offset", 24 * 60, "profile", "offset"),
        ("country", "XX", "api", "country"),
        ("region", "US_FL", "api", "region"),
        ("planet", "Mars", "api", "kind"),
        ("zone", "Asia/Tokyo", "gossip", "source"),
    ],
)
def test_what_is_no_evidence_is_refused_and_nothing_kept(
    session: Session, people: Any, rows: Any, kind: Any, value: Any, source: str, field: str
) -> None:
    (who,) = people(1)
    with pytest.raises(Invalid) as refused:
        record_evidence(session, [_said(who, "country", "US", "api"), _said(who, kind, value, source)], NOON)
    assert refused.value.field == field
    assert rows("SELECT * FROM place_evidence") == []


def test_ten_thousand_rows_take_as_many_statements_as_one(
    session: Session, people: Any, one: Any, statements: list[str]
) -> None:
    ids = people(10_000)
    statements.clear()
    record_evidence(session, [_said(ids[0], "country", "US", "import")], NOON)
    few = len(statements)
    statements.clear()
    rows = [_said(who, "zone", "Asia/Tokyo", "import") for who in ids]
    rows += [_said(who, "country", "JP", "import") for who in ids]
    assert len(record_evidence(session, rows, NOON)) == 10_000
    assert len(statements) == few <= 7
    assert one("SELECT count(*) AS n FROM contact WHERE timezones = '{Asia/Tokyo}' AND country = 'JP'").n == 10_000


def test_the_same_told_again_writes_nothing(session: Session, people: Any, rows: Any) -> None:
    ids = people(3)
    said = [
        _said(who, kind, value, "import") for who in ids for kind, value in (("zone", "Asia/Tokyo"), ("country", "JP"))
    ]
    record_evidence(session, said, NOON)
    session.commit()
    stored = "SELECT ctid::text FROM {} ORDER BY 1"
    before = [rows(stored.format(table)) for table in ("contact", "place_evidence")]
    assert record_evidence(session, said, NOON + 60) == set()
    assert [rows(stored.format(table)) for table in ("contact", "place_evidence")] == before
