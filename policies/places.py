"""Places are evidence: which time zones a contact may be in, and whose laws bind.

Zones, best evidence first: IANA zones (stated; several are candidates), the zones that the region's pack lists, a
numeric offset (a snapshot, so it stands for three: an hour less, itself, an hour more), all zones of the country, every
zone.
Jurisdictions: the region and its country, else the country, else the countries of the IANA zones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from policies.facts import Facts
from policies.law import jurisdiction_pack
from policies.local_time import distinct_zones, fixed_offset, zone, zone_data, zone_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a contact may be."""

    #: Candidate zones; one, where the evidence is good.
    zones: tuple[str, ...]
    #: What names the zones: "timezone", "region", "utc_offset", "country" or "none".
    evidence: str
    #: ISO codes of the jurisdictions that bind, with or without a pack.
    jurisdictions: tuple[str, ...]


def place_of(facts: Facts) -> Place:
    """Where the contact may be. Raises LookupError for a stated zone that tzdata has not."""
    region = facts.region
    country = region.partition("-")[0] if region else facts.country
    zones, evidence = _zones(facts, region, country)
    return Place(zones=zones, evidence=evidence, jurisdictions=_jurisdictions(facts, region, country))


def _zones(facts: Facts, region: str | None, country: str | None) -> tuple[tuple[str, ...], str]:
    if facts.timezones:
        for name in facts.timezones:
            zone(name)
        return distinct_zones(facts.timezones), "timezone"
    if region and (pack := jurisdiction_pack(region)) and pack.zones:
        return distinct_zones(pack.zones), "region"
    if facts.utc_offset is not None:
        return tuple(fixed_offset(facts.utc_offset + minutes) for minutes in (-60, 0, 60)), "utc_offset"
    if country and (zones := zones_of_countries().get(country)):
        return distinct_zones(zones), "country"
    return distinct_zones(zone_names()), "none"


def _jurisdictions(facts: Facts, region: str | None, country: str | None) -> tuple[str, ...]:
    if region and country:
        return (region, country)
    if country:
        return (country,)
    countries = {found for name in facts.timezones if (found := country_of_zone(name)) is not None}
    return tuple(sorted(countries))


@cache
def zones_of_countries() -> dict[str, tuple[str, ...]]:
    """Every country's zones, by its ISO code, from tzdata's zone.tab."""
    found: dict[str, list[str]] = {}
    for line in zone_data("zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            found.setdefault(country, []).append(name)
    return {country: tuple(names) for country, names in found.items()}


@cache
def country_of_zone(name: str) -> str | None:
    """The country of an IANA zone: by its own name in zone.tab, else by the name it links to; None if no country's."""
    return _countries().get(name) or _countries().get(_links().get(name, ""))


@cache
def _countries() -> dict[str, str]:
    return {name: country for country, names in zones_of_countries().items() for name in names}


@cache
def _links() -> dict[str, str]:
    # tzdata.zi names a link as "L target name"; the target may itself be a link.
    direct: dict[str, str] = {}
    for line in zone_data("tzdata.zi").read_text(encoding="utf-8").splitlines():
        if line.startswith("L "):
            _, target, name = line.split()
            direct[name] = target
    found = {}
    for name, target in direct.items():
        end = target
        while end in direct and end not in _countries():
            end = direct[end]
        found[name] = end
    return found
