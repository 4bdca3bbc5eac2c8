"""Places are evidence: which time zones a contact may be in, and whose laws bind.

Zones, best evidence first: IANA zones (stated; several are candidates), the zones that the region's pack lists, a
numeric offset (a snapshot, so it stands for three: an hour less, itself, an hour more), all zones of the country, every
zone.
Jurisdictions: the region and its country, else the country, else the countries of the IANA zones; and with a country
that is a member of a union with rules of its own (the EU), that union.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.countries import country_of_zone, zones_of_countries
from policies.facts import Facts
from policies.law import jurisdiction_pack, unions_of
from policies.local_time import distinct_zones, fixed_offset, zone, zone_names

__all__ = ["Place", "country_of_zone", "place_of", "zones_of_countries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a contact may be."""

    #: Candidate zones; one, where the evidence is good.
    zones: tuple[str, ...]
    #: What names the zones: "timezone", "region", "utc_offset", "country" or "none".
    evidence: str
    #: ISO codes (and "EU") of the jurisdictions that bind, with or without a pack.
    jurisdictions: tuple[str, ...]
    #: The countries among them.
    countries: tuple[str, ...]


def place_of(facts: Facts) -> Place:
    """Where the contact may be. Raises LookupError for a stated zone that tzdata has not."""
    region = facts.region
    country = region.partition("-")[0] if region else facts.country
    zones, evidence = _zones(facts, region, country)
    countries = (country,) if country else _countries_of(facts.timezones)
    unions = sorted({union for each in countries for union in unions_of(each)})
    return Place(
        zones=zones,
        evidence=evidence,
        jurisdictions=(*((region,) if region else ()), *countries, *unions),
        countries=countries,
    )


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


def _countries_of(zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({found for name in zones if (found := country_of_zone(name)) is not None}))
