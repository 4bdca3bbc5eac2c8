"""The second reading's own view of places: zones, packs as raw tables, and public holidays straight from their library.

Shares no code with the engine, and is slow: every question is answered from the sources themselves.
"""

from __future__ import annotations

import functools
import io
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from policies.facts import Facts

DAY = 86400
PACKS = Path(__file__).parents[2] / "policies" / "packs"
TZDATA = resources.files("tzdata")

#: A table of a TOML file, as it stands.
Entry = dict[str, Any]


@dataclass(slots=True)
class Place:
    """What the evidence says of where somebody is."""

    zones: tuple[str, ...]
    #: Whether anything at all spoke of a zone.
    evidence: bool
    countries: frozenset[str]
    region: str | None
    #: The places whose packs bind.
    jurisdictions: frozenset[str]


def place_of(facts: Facts) -> Place:
    """The candidate zones and the places whose packs bind."""
    region = facts.region
    country = region.split("-")[0] if region else facts.country
    if country:
        countries = {country}
    else:
        found = (zone_tab().get(name) or zone_tab().get(links().get(name, "")) for name in facts.timezones)
        countries = {each for each in found if each}
    jurisdictions = countries | ({region} if region else set()) | ({"EU"} if countries & european_union() else set())
    zones, evidence = candidates(facts, region, country)
    return Place(zones, evidence, frozenset(countries), region, frozenset(jurisdictions))


def candidates(facts: Facts, region: str | None, country: str | None) -> tuple[tuple[str, ...], bool]:
    if facts.timezones:
        return facts.timezones, True
    listed = (law(region) or {"jurisdiction": {}})["jurisdiction"].get("zones") if region else None
    if listed:
        return tuple(listed), True
    if facts.utc_offset is not None:
        return tuple(f"{(facts.utc_offset + d) * 60:+d}" for d in (-60, 0, 60)), True
    of_country = tuple(name for name, its in zone_tab().items() if its == country)
    return (of_country, True) if of_country else (all_zones(), False)


# --- zones -----------------------------------------------------------------------------------------------------------


@functools.cache
def zone(name: str) -> ZoneInfo:
    """The zone of the locked ``tzdata`` package, whatever the machine has."""
    return ZoneInfo.from_file(io.BytesIO(data(name)), key=name)


@functools.cache
def data(name: str) -> bytes:
    return TZDATA.joinpath("zoneinfo").joinpath(*name.split("/")).read_bytes()


def distinct(zones: Iterable[str]) -> tuple[str, ...]:
    """The zones without those that are another one by a second name."""
    return tuple({name if name[0] in "+-" else data(name): name for name in zones}.values())


def offset(name: str, at: int) -> int:
    """Seconds east of UTC in a zone at an instant; ``+5400`` is a fixed offset by itself."""
    if name[0] in "+-":
        return int(name)
    shift = datetime.fromtimestamp(at, zone(name)).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


@functools.cache
def steady_offset(name: str, day: int) -> int | None:
    """The offset of a zone on a UTC day; None on a day of change (no zone goes forth and back within a day)."""
    first, last = offset(name, day * DAY), offset(name, day * DAY + DAY - 1)
    return first if first == last else None


@functools.lru_cache(maxsize=10_000)
def steady_offsets(zones: tuple[str, ...], day: int) -> frozenset[int] | None:
    found = frozenset(steady_offset(name, day) for name in zones)
    return None if None in found else found  # type: ignore[return-value]  # the line before sees to it


def walls(zones: tuple[str, ...], at: int) -> list[datetime]:
    """The different wall clocks of several zones at an instant."""
    found = steady_offsets(zones, at // DAY) or {offset(name, at) for name in zones}
    return [wall_clock(at + shift) for shift in found]


@functools.lru_cache(maxsize=100_000)
def wall_clock(shifted: int) -> datetime:
    return datetime.fromtimestamp(shifted, UTC).replace(tzinfo=None)


@functools.cache
def zone_tab() -> dict[str, str]:
    """Zone → country, as ``zone.tab`` has it."""
    rows = [
        line.split("\t")
        for line in TZDATA.joinpath("zoneinfo", "zone.tab").read_text().splitlines()
        if not line.startswith("#")
    ]
    return {row[2]: row[0] for row in rows}


@functools.cache
def links() -> dict[str, str]:
    """Link → what it links to."""
    rows = [line.split() for line in TZDATA.joinpath("zoneinfo", "tzdata.zi").read_text().splitlines()]
    return {row[2]: row[1] for row in rows if row[0] == "L"}


@functools.cache
def all_zones() -> tuple[str, ...]:
    return tuple(TZDATA.joinpath("zones").read_text().split())


# --- packs -----------------------------------------------------------------------------------------------------------


@functools.cache
def law(code: str) -> Entry | None:
    path = PACKS / "law" / f"{code}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else None


@functools.cache
def platform() -> Entry:
    return tomllib.loads((PACKS / "platform" / "messenger.toml").read_text(encoding="utf-8"))


@functools.cache
def pack_codes() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (PACKS / "law").glob("*.toml")))


@functools.cache
def european_union() -> frozenset[str]:
    union = law("EU")
    return frozenset(union["jurisdiction"]["members"]) if union else frozenset()


def spelled_out(codes: Iterable[str]) -> frozenset[str]:
    """The countries of a list in which "EU" stands for its members."""
    return frozenset(country for code in codes for country in (european_union() if code == "EU" else {code}))


def midnight(day: date) -> int:
    """A date takes effect at its midnight in UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def reaches_apps(entry: Entry) -> bool:
    return entry["app_messages"] in ("yes", "likely")


def hours_or_cap_binds(entry: Entry, mode: str) -> bool:
    """Courtesy: what covers SMS or app messages; legal: what reaches app messages."""
    if mode == "courtesy":
        return bool({"sms", "app_push", "messaging_app"} & set(entry["channels"])) or reaches_apps(entry)
    return mode == "legal" and reaches_apps(entry)


# --- public holidays -------------------------------------------------------------------------------------------------


@functools.cache
def subdivisions() -> dict[str, list[str]]:
    return holidays.list_supported_countries()


@functools.cache
def library_calendar(name: str) -> Any:
    """The library's own calendar of "FR" or "FR-57": it answers whether a date is in it."""
    country, _, subdivision = name.partition("-")
    return holidays.country_holidays(country, subdiv=subdivision or None)


def calendar_of(country: str, region: str | None) -> str | None:
    """The region's calendar, where the library has the region, else the country's; None where it has neither."""
    if country not in subdivisions():
        return None
    if region and region.split("-")[0] == country and region.split("-", 1)[1] in subdivisions()[country]:
        return region
    return country


@functools.cache
def is_holiday(calendars: frozenset[str], day: date) -> bool:
    """Whether a date is a public holiday in any of these calendars."""
    return any(day in library_calendar(name) for name in calendars)
