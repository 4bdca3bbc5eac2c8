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
    named = {country} if country else set()
    island = territory(region)
    if island:
        # The region's code is the state's, so both are named; the person is in the territory.
        country, region = island["code"], (island.get("regions") or [region])[0]
    if country:
        countries = {country}
    else:
        countries = {its for name in facts.timezones if (its := lives_in(spelled(name)))}
    bound = countries | named | ({region} if region else set())
    for code in countries:
        its = next((row for row in island_rows() if row["code"] == code), None)
        if its and its["law"] == "state":
            bound.add(its["state"])
        if code in european_union() or (its and its.get("union") == "EU"):
            bound.add("EU")
    zones, evidence = candidates(facts, island, region, country)
    return Place(zones, evidence, frozenset(countries), region, frozenset(bound))


def candidates(
    facts: Facts, island: Entry | None, region: str | None, country: str | None
) -> tuple[tuple[str, ...], bool]:
    known = [name for name in map(spelled, facts.timezones) if name]
    stated = [name for name in known if name not in NOWHERE]
    offsets = [found for name in known if (found := believed(name, country)) is not None]
    if stated:
        return (*stated, *three_each(offsets)), True
    own = country_zones(island["code"]) if island else ()
    listed = own or (law(region) or {"jurisdiction": {}})["jurisdiction"].get("zones") if region else None
    if listed:
        return tuple(listed), True
    if facts.utc_offset is not None:
        offsets.append(facts.utc_offset)
    if offsets:
        return three_each(offsets), True
    of_country = country_zones(country)
    return (of_country, True) if of_country else (all_zones(), False)


def three_each(offsets: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{(minutes + d) * 60:+d}" for minutes in offsets for d in (-60, 0, 60))


# --- territories, and zones without a place ---------------------------------------------------------------------------

#: Minutes east of UTC of names that are not places; None: not even an offset. Spelt out, name by name.
NOWHERE: dict[str, int | None] = {
    **dict.fromkeys(
        ("UTC", "UCT", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich", "Universal", "Zulu", "Etc/UTC", "Etc/UCT",
         "Etc/GMT", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-0", "Etc/Greenwich", "Etc/Universal", "Etc/Zulu", "WET"), 0),
    "CET": 60, "MET": 60, "EET": 120, "EST": -300, "EST5EDT": -300, "CST6CDT": -360, "MST": -420, "MST7MDT": -420,
    "PST8PDT": -480, "HST": -600, "Factory": None,
    **{f"Etc/GMT+{hours}": -60 * hours for hours in range(1, 13)},
    **{f"Etc/GMT-{hours}": 60 * hours for hours in range(1, 15)},
}  # fmt: skip


@functools.cache
def believed(name: str, country: str | None) -> int | None:
    """The offset of a name without a place, where the country has such clocks and no doubt about the sign."""
    minutes = NOWHERE.get(name)
    had = clocks(country) if country else frozenset()
    if minutes is None or not had:
        return minutes
    turned = name.startswith("Etc/GMT") and minutes != 0 and -minutes in had
    return minutes if minutes in had and not turned else None


@functools.cache
def clocks(country: str) -> frozenset[int]:
    """Minutes east of UTC that the clocks of a country show from 2024 to 2035, looked at on every third day."""
    days = range(19_723, 24_106, 3)
    return frozenset(offset(name, day * DAY) // 60 for name in country_zones(country) for day in days)


@functools.cache
def island_rows() -> tuple[Entry, ...]:
    text = (PACKS / "places" / "territories.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["territory"])


@functools.cache
def territory(region: str | None) -> Entry | None:
    """The territory that the region's code names."""
    for row in island_rows():
        if region in {*row.get("regions", ()), f"{row['state']}-{row['code']}"}:
            return row
    return None


def belongs_to(country: str, state: str) -> bool:
    return any(row["code"] == country and row["state"] == state for row in island_rows())


@functools.cache
def spelled(name: str) -> str | None:
    """A zone's own spelling; None for a zone that tzdata does not have."""
    return next((each for each in all_zones() if each.lower() == name.lower()), None)


def lives_in(name: str | None) -> str | None:
    if name is None or name in NOWHERE:
        return None
    return zone_tab().get(name) or zone_tab().get(links().get(name, ""))


@functools.cache
def country_zones(country: str | None) -> tuple[str, ...]:
    text = (PACKS / "places" / "codes.toml").read_text(encoding="utf-8")
    assigned = {row["code"]: row["zones"] for row in tomllib.loads(text)["assigned"]}
    return tuple(name for name, its in zone_tab().items() if its == country) or tuple(assigned.get(country, ()))


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
    found = {country for code in codes for country in (european_union() if code == "EU" else {code})}
    for row in island_rows():
        if ("EU" in codes and row.get("union") == "EU") or (row["state"] in codes and row["law"] == "state"):
            found.add(row["code"])
    return frozenset(found)


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
