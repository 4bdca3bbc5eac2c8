"""Public holidays, from the ``holidays`` library: whose calendar, and which days. Its calls are few and remembered.

A calendar is named by a country's or a region's ISO code, such as "FR" or "US-LA". Days are numbers counted from
1970-01-01, as everywhere in the engine; observed days are holidays too. A date that a place skipped (Apia's 2011-12-30)
never comes up there, whatever its calendar says.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.metadata import version

import holidays

from policies.terms import Hours
from policies.territories import territories

_EPOCH = date(1970, 1, 1).toordinal()
#: What ISO 3166-2 gives a region; the library has other calendars beside, such as one of a city.
_SUBDIVISION = re.compile(r"[A-Z0-9]{1,3}")


@cache
def holidays_version() -> str:
    """The version of the library, such as "0.109": part of what a decision was taken with."""
    return version("holidays")


def calendar_of(country: str | None, region: str | None) -> str | None:
    """The name of the region's calendar if the library has it, else of the country's; None where it has neither."""
    if region is not None and known_calendar(region):
        return region
    home = region.partition("-")[0] if region is not None else country
    return home if home is not None and home in _calendars() else None


def known_calendar(code: str) -> bool:
    """Whether the library has a calendar of this country ("FR") or region ("FR-57")."""
    country, dash, subdivision = code.partition("-")
    if not dash:
        return country in _calendars()
    return bool(_SUBDIVISION.fullmatch(subdivision)) and subdivision in _calendars().get(country, ())


def holidays_between(calendar: str, first_day: int, last_day: int) -> dict[int, str]:
    """The calendar's holidays from ``first_day`` to ``last_day``, both included: day number to name.

    Raises LookupError for a calendar that the library has not.
    """
    if not known_calendar(calendar):
        raise LookupError(f"the holidays library {holidays_version()} has no calendar `{calendar}`")
    found: dict[int, str] = {}
    for year in range(_year(first_day), _year(last_day) + 1):
        found.update((day, name) for day, name in _of_year(calendar, year).items() if first_day <= day <= last_day)
    return found


def holiday_on(calendars: str, day: int) -> str | None:
    """What a day is called in the first of the calendars (comma-joined, as in ``Hours.holidays``) that has it."""
    year = _year(day)
    for calendar in calendars.split(","):
        if calendar and (name := _of_year(calendar, year).get(day)) is not None:
            return name
    return None


def days_off(calendars: str, first_day: int, last_day: int) -> frozenset[int]:
    """The days from the first to the last, both included, that are a holiday in any of the comma-joined calendars."""
    return frozenset(
        day for calendar in calendars.split(",") if calendar for day in holidays_between(calendar, first_day, last_day)
    )


def located(hours: Hours, countries: tuple[str, ...], region: str | None) -> Hours:
    """The hours with the concrete calendars of a contact's place in ``holidays``, comma-joined; "" where none is known.

    "contact" is the region's calendar, else those of the countries; a pack's entry looks at its own country alone, and
    in a territory of that (Réunion) at the territory's calendar.
    """
    if hours.holiday is None and hours.before_holiday is None:
        return replace(hours, holidays="") if hours.holidays else hours
    if hours.holidays != "contact":
        return hours
    if hours.source is not None:
        own, _, part = hours.source.jurisdiction.partition("-")
        countries = tuple(code for code in countries if own in (code, _state_of(code))) or (own,)
        if part:
            countries, region = (own,), hours.source.jurisdiction
    inside = {country: region if region and region.partition("-")[0] == country else None for country in countries}
    found = (calendar_of(country, within) for country, within in inside.items())
    return replace(hours, holidays=",".join(sorted({name for name in found if name is not None})))


def _state_of(country: str) -> str | None:
    territory = territories().get(country)
    return territory.state if territory is not None else None


@cache
def _calendars() -> dict[str, frozenset[str]]:
    listed = holidays.list_supported_countries(include_aliases=False)
    return {country: frozenset(parts) for country, parts in listed.items()}


@cache
def _of_year(calendar: str, year: int) -> dict[int, str]:
    country, _, subdivision = calendar.partition("-")
    place = subdivision or None
    spoken = holidays.country_holidays(country, subdiv=place)
    # Without a language the library would ask the machine's locale.
    language = "en_US" if "en_US" in spoken.supported_languages else spoken.default_language
    with warnings.catch_warnings():
        # Far ahead the library knows less of some countries (of India from 2036 on) and warns.
        warnings.simplefilter("ignore")
        days = holidays.country_holidays(country, subdiv=place, years=year, expand=False, language=language)
    return {day.toordinal() - _EPOCH: name for day, name in days.items()}


def _year(day: int) -> int:
    return date.fromordinal(day + _EPOCH).year
