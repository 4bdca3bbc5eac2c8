"""Places are evidence: which time zones a contact may be in, and whose laws bind.

Zones, best evidence first: IANA zones (stated; several are candidates), the zones of the region (a territory's own, or
those that the region's pack lists), a numeric offset (a snapshot, so it stands for three: an hour less, itself, an hour
more), all zones of the country, every zone.
Jurisdictions: the region and its country, else the country, else the countries of the IANA zones; and with a country
that is a member of a union with rules of its own (the EU), that union. A territory with a country's code of its own is
one place however it is written (FR-974, FR-RE, RE): its own zones, its state's laws, and the union's where it is part
of it.

A zone that names no place (UTC, EST, Etc/GMT+5) is an offset at most, and none where the stated country never has it.
A zone that tzdata does not know is not evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.countries import countries_of_zone, country_of_zone, offsets_of_country, zones_of_countries
from policies.facts import Facts
from policies.law import jurisdiction_pack, unions_of
from policies.local_time import distinct_zones, fixed_offset, tzdata_version, zone_names
from policies.stated_zones import known_zone, names_no_place, offset_of, sign_is_doubtful
from policies.territories import Territory, territories, territory_of_region

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
    #: The countries the contact may be in; a territory with a code of its own is one.
    countries: tuple[str, ...]
    #: The region that was stated, by its code of today.
    region: str | None
    #: What is odd about what was stated, and what became of it: whole clauses for people to read.
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """Where the country and the region say that somebody is."""

    country: str | None
    region: str | None
    #: The territory that the region names, whose zones are the region's.
    territory: Territory | None
    #: The states whose packs bind beside the country's own.
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zones:
    """What the stated zones come to."""

    #: Those that are places.
    places: tuple[str, ...]
    #: Offsets, minutes east of UTC, that the others name and that may be true.
    offsets: tuple[int, ...]
    remarks: tuple[str, ...]


def place_of(facts: Facts) -> Place:
    """Where the contact may be."""
    stated = _where(facts.country, facts.region)
    told = _told(facts.timezones, stated)
    zones, evidence = _candidates(facts, stated, told)
    countries: tuple[str, ...] = (stated.country,) if stated.country else ()
    states = stated.states
    if not countries:
        countries = tuple(sorted({found for name in told.places if (found := country_of_zone(name)) is not None}))
        states = tuple(sorted({state for each in countries for state in _states_of(each)}))
    # A state's membership of a union does not take its territories along: theirs is their own.
    unions = sorted({union for each in countries for union in unions_of(each)})
    region = (stated.region,) if stated.region else ()
    return Place(
        zones=zones,
        evidence=evidence,
        jurisdictions=tuple(dict.fromkeys((*region, *countries, *states, *unions))),
        countries=countries,
        region=stated.region,
        remarks=told.remarks,
    )


def _where(country: str | None, region: str | None) -> _Stated:
    territory = territory_of_region(region) if region else None
    if territory is not None:
        # The state was named in the region's code: its packs bind, whoever makes the territory's rules.
        own = territory.regions[0] if territory.regions else region
        return _Stated(country=territory.code, region=own, territory=territory, states=(territory.state,))
    if region:
        country = region.partition("-")[0]
    return _Stated(country=country, region=region, territory=None, states=_states_of(country) if country else ())


def _states_of(country: str) -> tuple[str, ...]:
    territory = territories().get(country)
    return (territory.state,) if territory is not None and territory.takes_state_law else ()


def _told(zones: tuple[str, ...], stated: _Stated) -> _Zones:
    places: list[str] = []
    offsets: list[int] = []
    remarks: list[str] = []
    for written in zones:
        name = known_zone(written)
        if name is None:
            remarks.append(f"`{_shown(written)}` is not in tzdata {tzdata_version()}, so it says nothing")
        elif not names_no_place(name):
            places.append(name)
            if stated.country and not _is_there(name, stated.country):
                remarks.append(f"`{name}` is outside {stated.region or stated.country}")
        elif (offset := offset_of(name)) is None:
            remarks.append(f"`{name}` names neither a place nor an offset, so it says nothing")
        elif (doubt := _doubt(name, offset, stated.country)) is None:
            offsets.append(offset)
            remarks.append(f"`{name}` names no place, only the offset {fixed_offset(offset)}")
        else:
            remarks.append(f"`{name}` names no place, and {doubt}, so it says nothing")
    return _Zones(places=tuple(places), offsets=tuple(dict.fromkeys(offsets)), remarks=tuple(remarks))


def _doubt(name: str, offset: int, country: str | None) -> str | None:
    """Why the offset of a zone without a place cannot be believed in this country; None where it can."""
    possible = offsets_of_country(country) if country else frozenset()
    if not possible:
        return None
    if offset not in possible:
        return f"no clock in {country} shows its offset {fixed_offset(offset)}"
    if sign_is_doubtful(name) and -offset in possible:
        return f"{country} has clocks of either sign, which is often written the wrong way round"
    return None


def _is_there(name: str, country: str) -> bool:
    """Whether a zone is the country's, or that of a territory of it."""
    if country in countries_of_zone(name):
        return True
    territory = territories().get(country_of_zone(name) or "")
    return territory is not None and territory.state == country


def _candidates(facts: Facts, stated: _Stated, told: _Zones) -> tuple[tuple[str, ...], str]:
    if told.places:
        # An offset in the list of candidates stays one.
        return distinct_zones((*told.places, *_around(told.offsets))), "timezone"
    if stated.territory is not None and (zones := zones_of_countries().get(stated.territory.code)):
        return distinct_zones(zones), "region"
    if stated.region and (pack := jurisdiction_pack(stated.region)) and pack.zones:
        return distinct_zones(pack.zones), "region"
    offsets = told.offsets if facts.utc_offset is None else (facts.utc_offset, *told.offsets)
    if offsets:
        return _around(offsets), "utc_offset"
    if stated.country and (zones := zones_of_countries().get(stated.country)):
        return distinct_zones(zones), "country"
    return distinct_zones(zone_names()), "none"


def _around(offsets: tuple[int, ...]) -> tuple[str, ...]:
    """Each offset, an hour less and an hour more: nobody knows whether it was read in summer."""
    return tuple(dict.fromkeys(fixed_offset(each + minutes) for each in offsets for minutes in (-60, 0, 60)))


def _shown(text: str) -> str:
    return text[:64].encode("ascii", "backslashreplace").decode()
