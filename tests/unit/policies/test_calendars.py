from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policies.calendars import (
    calendar_of,
    days_off,
    holiday_on,
    holidays_between,
    holidays_version,
    known_calendar,
    located,
)
from policies.terms import Hours, Source

SOURCE = Source(
    jurisdiction="FR", citation="a law", basis="statute", channels=("sms",), app_messages="no", checked="primary",
    confidence="high", urls=(), note="",
)  # fmt: skip
CLOSED = Hours(id="x", applies_to=(), rows=(None,) * 7, holiday=(), holidays="contact")


def day(written: str) -> int:
    return date.fromisoformat(written).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    ("country", "region", "calendar"),
    [
        ("US", "US-LA", "US-LA"),
        ("FR", "FR-57", "FR-57"),
        ("FR", "FR-75", "FR"),
        ("FR", None, "FR"),
        (None, "IT-BZ", "IT-BZ"),
        # The library has calendars of cities beside; no region has such a code.
        ("DE", "DE-Augsburg", "DE"),
        ("XX", None, None),
        ("XX", "XX-1", None),
        (None, None, None),
    ],
)
def test_whose_calendar(country: str | None, region: str | None, calendar: str | None) -> None:
    assert calendar_of(country, region) == calendar


def test_louisiana_has_mardi_gras_and_its_country_has_not() -> None:
    assert holidays_between("US-LA", day("2026-02-17"), day("2026-02-17")) == {day("2026-02-17"): "Mardi Gras"}
    assert holidays_between("US", day("2026-02-17"), day("2026-02-17")) == {}


def test_moselle_has_good_friday_and_france_has_not() -> None:
    assert holiday_on("FR-57", day("2026-04-03")) == "Good Friday"
    assert holiday_on("FR", day("2026-04-03")) is None


def test_colombia_moves_its_holidays_to_a_monday() -> None:
    # Saints Peter and Paul, 29 June 2025, was a Sunday.
    assert holiday_on("CO", day("2025-06-30")) is not None
    assert holiday_on("CO", day("2026-06-29")) is not None


def test_days_observed_are_holidays_too() -> None:
    # 27 April 2025 was a Sunday; South Africa moves it to the Monday.
    assert holiday_on("ZA", day("2025-04-28")) == "Freedom Day (observed)"
    # The observed New Year of 2028 lies in 2027.
    assert holiday_on("US", day("2027-12-31")) == "New Year's Day (observed)"


def test_a_stretch_over_a_year_end() -> None:
    found = holidays_between("FR", day("2026-12-20"), day("2027-01-05"))
    assert list(found) == [day("2026-12-25"), day("2027-01-01")]
    assert days_off("FR,US", day("2026-12-20"), day("2027-01-05")) == set(found)
    assert days_off("", day("2026-12-20"), day("2027-01-05")) == frozenset()


def test_names_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "th")
    monkeypatch.setenv("LANG", "th_TH.UTF-8")
    assert holiday_on("FR", day("2031-07-14")) == "National Day"


def test_a_calendar_that_does_not_exist() -> None:
    with pytest.raises(LookupError, match="`XX`"):
        holidays_between("XX", 0, 1)
    assert not known_calendar("US-")
    assert not known_calendar("US-XX")
    assert holidays_version() >= "0.100"


def test_located_hours_name_their_calendars() -> None:
    assert located(CLOSED, ("FR",), "FR-57").holidays == "FR-57"
    assert located(CLOSED, ("DE", "FR"), None).holidays == "DE,FR"
    assert located(CLOSED, (), None).holidays == ""
    assert located(CLOSED, ("XX",), None).holidays == ""
    stated = replace(CLOSED, holidays="US")
    assert located(stated, ("FR",), "FR-57") is stated
    # Nobody's holidays without a row for them.
    assert located(replace(CLOSED, holiday=None), ("FR",), None).holidays == ""
    plain = replace(CLOSED, holiday=None, holidays="")
    assert located(plain, ("FR",), None) is plain


def test_a_packs_entry_looks_at_its_own_country() -> None:
    french = replace(CLOSED, source=SOURCE)
    assert located(french, ("DE", "FR"), None).holidays == "FR"
    assert located(french, ("FR",), "FR-6AE").holidays == "FR-6AE"
    assert located(french, ("DE",), "DE-BY").holidays == "FR"
    louisiana = replace(CLOSED, source=replace(SOURCE, jurisdiction="US-LA"))
    assert located(louisiana, ("US",), "US-LA").holidays == "US-LA"
    assert located(louisiana, ("US",), None).holidays == "US-LA"


def test_calendars_of_many_places_can_be_read() -> None:
    for code in ("WS", "SA", "US-PR", "ES-CT", "IT-BZ", "CH-GE", "IN-MH"):
        assert known_calendar(code)
        assert holidays_between(code, day("2026-01-01"), day("2026-12-31"))


def test_years_of_which_the_library_knows_less_are_no_failure() -> None:
    first = date(2040, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
    assert "Republic Day" in holidays_between("IN", first, first + 365).values()
