"""Zones that name no place: an offset at most, and none that the country never has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.countries import country_of_zone, offsets_of_country, zones_of_countries
from policies.engine import decide
from policies.facts import Facts
from policies.local_time import zone_names
from policies.places import place_of
from policies.policy import load_policy
from policies.stated_zones import known_zone, looks_like_an_offset, names_no_place, offset_of, telling_zone

OFFSETS = {
    "UTC": 0, "Etc/UCT": 0, "GMT": 0, "GMT0": 0, "Etc/GMT-0": 0, "GMT+0": 0, "Zulu": 0, "Universal": 0, "Greenwich": 0,
    "WET": 0, "CET": 60, "MET": 60, "EET": 120, "EST": -300, "EST5EDT": -300, "CST6CDT": -360, "MST": -420,
    "MST7MDT": -420, "PST8PDT": -480, "HST": -600, "Etc/GMT+5": -300, "Etc/GMT-14": 840, "Etc/GMT+12": -720,
}  # fmt: skip


def test_every_zone_of_tzdata_is_a_place_or_an_offset() -> None:
    nowhere = [name for name in zone_names() if names_no_place(name)]
    assert [name for name in nowhere if offset_of(name) is None] == ["Factory"]
    assert all(country_of_zone(name) is None for name in nowhere)
    # All others are somebody's: a new name of this kind in tzdata must not slip in as a place.
    assert [name for name in zone_names() if name not in nowhere and country_of_zone(name) is None] == []
    assert {name for name in zone_names() if name.startswith("Etc/")} <= set(nowhere)
    assert not any(names_no_place(name) for names in zones_of_countries().values() for name in names)


@pytest.mark.parametrize(("name", "minutes"), OFFSETS.items())
def test_a_zone_without_a_place_stands_for_three_offsets(name: str, minutes: int) -> None:
    assert names_no_place(name)
    assert offset_of(name) == minutes
    place, told = place_of(Facts(timezones=(name,))), place_of(Facts(utc_offset=minutes))
    assert (place.zones, place.evidence, place.jurisdictions) == (told.zones, "utc_offset", ())
    assert place.remarks[0].startswith(f"`{name}` names no place, only the offset UTC")


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("Etc/GMT-5", "US"), ("UTC", "US"), ("Etc/GMT+6", "MM"), ("Etc/GMT-6", "MM"), ("UTC", "DE"), ("EST", "DE"),
        ("CET", "GR"), ("GMT", "IN"), ("Etc/GMT+1", "DE"), ("Etc/GMT+9", "JP"), ("Factory", "JP"),
        # Both signs are clocks of Portugal: nobody can tell which was meant.
        ("Etc/GMT+1", "PT"), ("Etc/GMT-1", "PT"),
    ],
)  # fmt: skip
def test_an_offset_that_the_country_never_has_says_nothing(name: str, country: str) -> None:
    place, told = place_of(Facts(timezones=(name,), country=country)), place_of(Facts(country=country))
    assert (place.zones, place.evidence) == (told.zones, "country")
    assert place.remarks[0].endswith("so it says nothing")


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("EST", "US"), ("Etc/GMT+5", "US"), ("HST", "US"), ("UTC", "GB"), ("Etc/GMT-1", "DE"), ("CET", "DE"),
        ("EET", "GR"),
        # In summer.
        ("CET", "GB"), ("Etc/GMT-2", "DE"), ("WET", "MA"),
        # A country without zones has nothing to compare with.
        ("UTC", "BV"),
    ],
)  # fmt: skip
def test_an_offset_that_the_country_has_stands_for_three(name: str, country: str) -> None:
    place = place_of(Facts(timezones=(name,), country=country))
    minutes = offset_of(name)
    assert minutes is not None
    assert place.zones == place_of(Facts(utc_offset=minutes)).zones
    assert (place.evidence, place.countries) == ("utc_offset", (country,))


def test_better_evidence_outranks_an_offset_and_a_worse_one_adds_to_it() -> None:
    assert place_of(Facts(timezones=("EST",), region="US-FL")).evidence == "region"
    assert place_of(Facts(timezones=("UTC",), region="FR-974")).zones == ("Indian/Reunion",)
    # A list of candidates: each stays one, the offset as three.
    both = place_of(Facts(timezones=("Europe/Berlin", "UTC")))
    assert both.zones == ("Europe/Berlin", "UTC-01:00", "UTC+00:00", "UTC+01:00")
    assert (both.evidence, both.countries) == ("timezone", ("DE",))
    assert place_of(Facts(timezones=("Europe/Berlin", "UTC"), country="DE")).zones == ("Europe/Berlin",)
    # Two offsets that contradict each other are both possible.
    assert place_of(Facts(timezones=("EST",), utc_offset=0)).zones == (
        "UTC-01:00", "UTC+00:00", "UTC+01:00", "UTC-06:00", "UTC-05:00", "UTC-04:00",
    )  # fmt: skip


def test_the_inverted_sign_does_not_win() -> None:
    default = load_policy("default")
    night = int(datetime(2026, 12, 1, 9, tzinfo=UTC).timestamp())
    assert decide(default, Facts(timezones=("Etc/GMT-5",), country="US", last_inbound=night), night).verdict == "defer"
    late = int(datetime(2026, 12, 1, 20, tzinfo=UTC).timestamp())
    assert decide(default, Facts(timezones=("Etc/GMT+6",), country="MM", last_inbound=late), late).verdict == "defer"


def test_the_clocks_of_a_country_include_both_seasons() -> None:
    assert offsets_of_country("DE") == {60, 120}
    assert offsets_of_country("MA") == {0, 60}
    assert offsets_of_country("NP") == {345}
    assert {-300, -240, -600, -480} <= offsets_of_country("US")
    assert 0 not in offsets_of_country("US")
    assert offsets_of_country("BV") == frozenset()


def test_names_are_known_in_any_case() -> None:
    assert known_zone("europe/berlin") == "Europe/Berlin"
    assert known_zone("etc/gmt+5") == "Etc/GMT+5"
    assert known_zone(" utc ") == "UTC"
    assert known_zone("Mars/Olympus") is None
    assert (known_zone("Factory"), telling_zone("Factory"), telling_zone("UTC")) == ("Factory", None, "UTC")


@pytest.mark.parametrize(
    ("written", "is_one"),
    [
        ("EST5EDT,M3.2.0,M11.1.0", True), ("<-03>3", True), ("<+0530>-5:30", True), ("UTC-5", True), ("GMT+2", True),
        ("+01:00", True), ("-0530", True), ("UTC +5:30", True), (":EST5EDT", True), ("PST8PDT", True), ("5", True),
        ("Europe/Berlin", False), ("Berlin", False), ("Etc/GMT+25", False), ("", False), ("Mars/Olympus", False),
    ],
)  # fmt: skip
def test_what_is_written_as_an_offset_is_told_from_a_name(written: str, is_one: bool) -> None:
    assert looks_like_an_offset(written) is is_one
