from __future__ import annotations

from datetime import date
from importlib import resources

import pytest

from policies.facts import Facts
from policies.law import jurisdiction_pack, jurisdictions_with_packs, read_pack
from policies.local_time import distinct_zones, known_zones, tzdata_version, wall_clock, zone_names
from policies.places import country_of_zone, place_of, zones_of_countries
from policies.platform_pack import platform_pack, platform_packs


def test_stated_zones_are_the_best_evidence() -> None:
    place = place_of(Facts(timezones=("Asia/Tokyo",), utc_offset=60, country="US", region="US-FL"))
    assert (place.zones, place.evidence) == (("Asia/Tokyo",), "timezone")
    # Where they live still says whose law binds.
    assert place.jurisdictions == ("US-FL", "US")


def test_a_regions_own_zones_come_before_an_offset() -> None:
    place = place_of(Facts(utc_offset=-300, region="US-FL"))
    assert (set(place.zones), place.evidence) == ({"America/New_York", "America/Chicago"}, "region")


def test_a_region_without_a_pack_is_its_country() -> None:
    place = place_of(Facts(region="CH-ZH"))
    assert (place.zones, place.evidence) == (("Europe/Zurich",), "country")
    assert place.jurisdictions == ("CH-ZH", "CH")


def test_an_offset_stands_for_three_and_names_no_country() -> None:
    place = place_of(Facts(utc_offset=-210))
    assert place.zones == ("UTC-04:30", "UTC-03:30", "UTC-02:30")
    assert (place.evidence, place.jurisdictions) == ("utc_offset", ())
    assert place_of(Facts(utc_offset=0, country="GB")).zones == ("UTC-01:00", "UTC+00:00", "UTC+01:00")


def test_a_country_is_all_its_zones() -> None:
    place = place_of(Facts(country="US"))
    assert {"America/New_York", "Pacific/Honolulu", "America/Adak"} <= set(place.zones)
    assert (place.evidence, place.jurisdictions) == ("country", ("US",))


def test_nothing_is_every_zone() -> None:
    place = place_of(Facts())
    assert (place.zones, place.evidence, place.jurisdictions) == (distinct_zones(zone_names()), "none", ())
    assert len(place.zones) > 300


@pytest.mark.parametrize(
    ("zone", "country"),
    [
        ("America/New_York", "US"),
        ("US/Eastern", "US"),
        # By its own name first: Amsterdam is a link to Brussels.
        ("Europe/Amsterdam", "NL"),
        ("Asia/Calcutta", "IN"),
        ("Etc/GMT+5", None),
        ("UTC", None),
        ("EST5EDT", None),
    ],
)
def test_the_country_of_a_zone(zone: str, country: str | None) -> None:
    assert country_of_zone(zone) == country


def test_several_zones_bring_all_their_countries() -> None:
    assert place_of(Facts(timezones=("Asia/Tokyo", "Europe/Paris", "Etc/UTC"))).jurisdictions == ("FR", "JP", "EU")


def test_one_zone_by_two_names_is_one() -> None:
    assert place_of(Facts(timezones=("US/Eastern", "America/New_York"))).zones == ("US/Eastern",)


def test_every_country_of_zone_tab_has_zones_that_exist() -> None:
    assert len(zones_of_countries()) > 240
    for names in zones_of_countries().values():
        assert set(names) <= known_zones()


def test_a_zone_that_tzdata_does_not_know_is_no_evidence() -> None:
    for name in ("Mars/Olympus", "../zones", "UTC+99:99", "UTC+05:00", "posixrules", ""):
        place = place_of(Facts(timezones=(name,), country="DE"))
        assert (place.zones, place.evidence) == (("Europe/Berlin", "Europe/Busingen"), "country")
        assert place.remarks == (f"`{name}` is not in tzdata {tzdata_version()}, so it says nothing",)
    # Beside others it is dropped; alone it leaves what else is known.
    assert place_of(Facts(timezones=("Mars/Olympus", "Asia/Tokyo"))).zones == ("Asia/Tokyo",)
    assert place_of(Facts(timezones=("Mars/Olympus",), utc_offset=60)).evidence == "utc_offset"
    assert place_of(Facts(timezones=("Mars/Olympus",))).evidence == "none"


def test_a_zone_is_known_however_it_is_spelt() -> None:
    assert place_of(Facts(timezones=("europe/berlin",))) == place_of(Facts(timezones=("Europe/Berlin",)))
    assert place_of(Facts(timezones=(" US/PACIFIC ",))).zones == ("US/Pacific",)


def test_a_zone_outside_the_country_is_remarked_on() -> None:
    outside = place_of(Facts(timezones=("Asia/Tokyo",), country="US"))
    assert (outside.zones, outside.remarks) == (("Asia/Tokyo",), ("`Asia/Tokyo` is outside US",))
    assert place_of(Facts(timezones=("Europe/Paris",), region="FR-974")).remarks == (
        "`Europe/Paris` is outside FR-974",
    )
    for zone, country in (
        ("America/Chicago", "US"), ("US/Central", "US"), ("Europe/Berlin", "SE"), ("America/Toronto", "BS"),
        ("America/Puerto_Rico", "US"), ("Europe/Belgrade", "XK"), ("Indian/Reunion", "FR"),
    ):  # fmt: skip
        assert place_of(Facts(timezones=(zone,), country=country)).remarks == (), (zone, country)


def test_zones_come_from_the_package() -> None:
    assert tzdata_version().startswith("20")
    first = resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text().splitlines()[0]
    assert first == f"# version {tzdata_version()}"


def test_people_read_wall_clocks() -> None:
    assert wall_clock("America/New_York", 1772937000) == "2026-03-07 21:30 EST"
    assert wall_clock("UTC-03:30", 1772937000) == "2026-03-07 23:00 UTC-03:30"


@pytest.mark.parametrize("code", sorted(jurisdictions_with_packs()))
def test_every_pack_says_where_it_comes_from(code: str) -> None:
    pack = read_pack(code)
    assert pack.code == code
    assert pack.hours or pack.consent or pack.opt_out or pack.moratoria or pack.zones
    assert bool(pack.zones) == ("-" in code)
    assert pack.as_of <= pack.reviewed_on
    for rule in (*pack.hours, *pack.caps):
        assert rule.applies_to == ("promotional",)
        assert rule.source is not None
        assert rule.source.citation
        assert rule.source.urls or rule.source.checked == "memory"
    for law in (pack.consent, pack.opt_out):
        assert law is None or law.source.citation


def test_members_of_the_eu_bring_its_rules_along() -> None:
    assert place_of(Facts(country="DE")).jurisdictions == ("DE", "EU")
    assert place_of(Facts(region="FR-57")).jurisdictions == ("FR-57", "FR", "EU")
    assert place_of(Facts(timezones=("Europe/Paris", "Europe/Berlin"))).jurisdictions == ("DE", "FR", "EU")
    for outside in ("GB", "CH", "NO", "US"):
        assert "EU" not in place_of(Facts(country=outside)).jurisdictions
    union = jurisdiction_pack("EU")
    assert union is not None
    assert len(union.members) == 27
    assert jurisdiction_pack("CH") is None


def test_the_platform_pack() -> None:
    assert platform_packs() == ("platform/messenger",)
    pack = platform_pack("platform/messenger")
    assert (pack.window, pack.utility_categories) == (86_400, ("utility",))


def test_the_scope_of_an_opt_out_is_that_of_the_day() -> None:
    american, french = (pack.opt_out for code in ("US", "FR") if (pack := jurisdiction_pack(code)))
    assert american
    assert french
    assert [american.scope_on(date(2027, 1, day)) for day in (30, 31)] == ["category", "everything"]
    assert french.later is None
    assert french.scope_on(date(2099, 1, 1)) == french.scope
