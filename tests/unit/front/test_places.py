from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from scheduler.contacts.places import (
    check_country,
    check_locale,
    check_region,
    check_zone,
    check_zones,
    country_codes,
    zone_names,
)
from scheduler.errors import Invalid


def test_every_zone_exists_and_is_found_however_it_is_written() -> None:
    assert len(zone_names()) > 590
    for name in zone_names():
        assert check_zone(name) == name
        assert check_zone(f" {name.upper()} ") == name
        ZoneInfo(name)


def test_every_country_is_found() -> None:
    assert {"US", "DE", "GB", "JP"} < country_codes()
    assert len(country_codes()) == 249 + 1
    assert check_country(" de ") == "DE"
    assert check_country("xk") == "XK"


def test_candidates_lose_their_doubles_and_keep_their_order() -> None:
    assert check_zones(["europe/berlin", "Asia/Tokyo", "Europe/Berlin"]) == ["Europe/Berlin", "Asia/Tokyo"]


def test_a_region_is_in_its_country() -> None:
    assert check_region("us-fl", country="US") == "US-FL"
    with pytest.raises(Invalid, match="is not in country"):
        check_region("US-FL", country="CA")


@pytest.mark.parametrize(
    ("given", "locale"), [("pt_br", "pt_BR"), ("EN", "en"), ("zh-hant-tw", "zh_Hant_TW"), ("es-419", "es_419")]
)
def test_locales_are_written_as_the_platform_writes_them(given: str, locale: str) -> None:
    assert check_locale(given) == locale


@pytest.mark.parametrize("zone", ["", "Berlin", "Europe/Berlin\x00", "../etc/passwd", "Factory", "+01:00"])
def test_what_is_no_zone_is_refused_with_the_way_out(zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_zone(zone)
    assert refused.value.field == "timezone"
    assert refused.value.way_out


@pytest.mark.parametrize(
    ("written", "code"), [("Portugal", "PT"), ("Österreich", "AT"), ("pays-bas", "NL"), ("AUT", "AT"), ("jpn", "JP")]
)
def test_a_country_by_its_name_is_refused_with_its_code(written: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_country(written)
    assert refused.value.way_out == f"write {code}"


@pytest.mark.parametrize("written", ["SCG", "ANT", "Atlantis", "QQQ"])
def test_a_name_of_no_country_or_of_several_is_refused_without_a_guess(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_country(written)
    assert refused.value.way_out == "use two letters, like US or DE"


def test_a_region_without_its_country_is_not_taken_for_a_country() -> None:
    with pytest.raises(Invalid) as refused:
        check_region("XX")
    assert "like US-FL" in str(refused.value.way_out)
