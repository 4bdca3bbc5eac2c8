"""What clocks on walls show, in zones of every sort."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from policies import local_time
from policies.local_time import (
    CHUNK,
    DAY,
    MARGIN,
    distinct_zones,
    fixed_offset,
    local_day,
    monday_of,
    offset_at,
    pieces,
    wall_clock,
    zone,
)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def around(text: str) -> tuple[int, int, int]:
    """The chunk that holds an instant, and where its pieces begin and end."""
    chunk = utc(text) // CHUNK
    return chunk, chunk * CHUNK - MARGIN, (chunk + 1) * CHUNK + MARGIN


@pytest.mark.parametrize(
    ("name", "change", "before", "after"),
    [
        ("Europe/Berlin", "2026-03-29T01:00Z", 3600, 7200),
        ("Europe/Berlin", "2026-10-25T01:00Z", 7200, 3600),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z", 39600, 37800),
        ("America/New_York", "2026-11-01T06:00Z", -14400, -18000),
        ("Pacific/Apia", "2011-12-30T10:00Z", -36000, 50400),
        ("Antarctica/Troll", "2026-03-29T01:00Z", 0, 7200),
    ],
)
def test_clocks_change_to_the_second(name: str, change: str, before: int, after: int) -> None:
    chunk, start, end = around(change)
    assert pieces(name, chunk) == ((start, utc(change), before), (utc(change), end, after))


def test_a_month_of_fasting_has_two_changes_in_one_stretch() -> None:
    chunk, start, end = around("2026-03-01T00:00Z")
    first, second = utc("2026-02-15T02:00Z"), utc("2026-03-22T02:00Z")
    assert pieces("Africa/Casablanca", chunk) == ((start, first, 3600), (first, second, 0), (second, end, 3600))


def test_where_no_clock_changes_there_is_one_piece() -> None:
    chunk, start, end = around("2026-03-29T01:00Z")
    assert pieces("Asia/Kathmandu", chunk) == ((start, end, 20700),)
    assert pieces(fixed_offset(-210), chunk) == ((start, end, -12600),)
    assert pieces("UTC", chunk) == ((start, end, 0),)


def test_a_change_at_the_very_end_of_a_stretch_belongs_to_the_next() -> None:
    change = utc("2026-03-29T01:00Z")
    assert local_time._find_pieces("Europe/Berlin", change - 10 * DAY, change) == ((change - 10 * DAY, change, 3600),)
    assert local_time._find_pieces("Europe/Berlin", change - 10 * DAY, change + 1) == (
        (change - 10 * DAY, change, 3600),
        (change, change + 1, 7200),
    )
    assert local_time._find_pieces("Europe/Berlin", change, change + DAY) == ((change, change + DAY, 7200),)


def test_what_was_worked_out_is_kept_and_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_time, "_pieces", {})
    monkeypatch.setattr(local_time, "_MEMORY", 2)
    first = pieces("Europe/Berlin", 2500)
    assert pieces("Europe/Berlin", 2500) is first
    pieces("Europe/Paris", 2500)
    assert set(local_time._pieces) == {("Europe/Berlin", 2500), ("Europe/Paris", 2500)}
    pieces("Europe/Rome", 2500)
    assert set(local_time._pieces) == {("Europe/Rome", 2500)}
    assert pieces("Europe/Rome", 2501) != pieces("Europe/Rome", 2500)


@pytest.mark.parametrize(
    ("minutes", "name", "seconds"),
    [(0, "UTC+00:00", 0), (330, "UTC+05:30", 19800), (-210, "UTC-03:30", -12600), (-45, "UTC-00:45", -2700),
     (840, "UTC+14:00", 50400)],
)  # fmt: skip
def test_fixed_offsets_have_names(minutes: int, name: str, seconds: int) -> None:
    assert fixed_offset(minutes) == name
    assert offset_at(name, 0) == seconds


def test_offsets_are_those_of_the_zone() -> None:
    assert offset_at("America/St_Johns", utc("2026-01-01T00:00Z")) == -12600
    assert offset_at("America/St_Johns", utc("2026-07-01T00:00Z")) == -9000
    assert offset_at("Asia/Kathmandu", 1_700_000_000) == 20700


def test_what_people_are_shown() -> None:
    at = utc("2026-03-08T02:30Z")
    assert wall_clock("America/New_York", at) == "2026-03-07 21:30 EST"
    assert wall_clock("Europe/Berlin", at) == "2026-03-08 03:30 CET"
    assert wall_clock("UTC-03:30", at) == "2026-03-07 23:00 UTC-03:30"
    assert wall_clock("UTC+05:30", at) == "2026-03-08 08:00 UTC+05:30"


def test_days_and_their_mondays() -> None:
    # 1970-01-01 was a Thursday.
    assert [monday_of(day) for day in range(3, 12)] == [-3, 4, 4, 4, 4, 4, 4, 4, 11]
    assert local_day(DAY - 1, 0) == 0
    assert local_day(DAY - 1, 1) == 1
    assert local_day(0, -1) == -1


def test_a_second_name_is_no_second_zone() -> None:
    assert distinct_zones(("US/Eastern", "Europe/Berlin", "America/New_York")) == ("US/Eastern", "Europe/Berlin")
    assert distinct_zones(("UTC+01:00", "UTC+02:00", "UTC+01:00")) == ("UTC+01:00", "UTC+02:00")


def test_an_unknown_zone_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match=r"^`Mars/Olympus` is not a time zone of tzdata 20\d\d[a-z]$"):
        zone("Mars/Olympus")
    with pytest.raises(LookupError, match="Mars/Olympus"):
        distinct_zones(("Mars/Olympus",))
    assert str(zone("Europe/Berlin")) == "Europe/Berlin"


def test_the_machine_s_own_zone_is_of_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert wall_clock("UTC-03:30", utc("2026-03-08T02:30Z")) == "2026-03-07 23:00 UTC-03:30"
        assert wall_clock("Europe/Berlin", utc("2026-03-08T02:30Z")) == "2026-03-08 03:30 CET"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_change_of_the_clocks_is_known_to_the_second() -> None:
    # St John's, 1987-04-05: the clocks go forward a minute past midnight.
    found = pieces("America/St_Johns", 543_974_400 // CHUNK)
    assert found[0][1:] == (544_591_860, -12_600)
    assert found[1][0] == 544_591_860
