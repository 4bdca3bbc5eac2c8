"""The countries of the world and their zones, from the locked tzdata package."""

from __future__ import annotations

from functools import cache

from policies.country_codes import REGION, codes, official_countries
from policies.local_time import offset_at, zone_data
from policies.stated_zones import names_no_place

#: The years whose clocks say which offsets a country has: not those of its history, and DST in all its forms.
#: 2024-01-01 to 2036-01-01, a look every ten days: Ramadan changes Morocco's clocks for a month.
_LOOKS = range(1_704_067_200, 2_082_758_400, 10 * 86_400)


@cache
def known_countries() -> frozenset[str]:
    """The ISO 3166-1 codes, from tzdata's iso3166.tab, and the few that ``packs/places/codes.toml`` adds (XK)."""
    return official_countries() | codes().assigned.keys()


def known_place(code: str) -> bool:
    """Whether this is a country's code, or has the shape of a region's (ISO 3166-2) of a known country."""
    region = REGION.fullmatch(code)
    return (region[1] if region else code) in known_countries()


@cache
def zones_of_countries() -> dict[str, tuple[str, ...]]:
    """Every country's zones, by its code, from tzdata's zone.tab."""
    found: dict[str, list[str]] = {}
    for country, rest in _rows("zone.tab"):
        found.setdefault(country, []).append(rest.split("\t")[1])
    return {country: tuple(names) for country, names in found.items()} | dict(codes().assigned)


@cache
def country_of_zone(name: str) -> str | None:
    """The country of an IANA zone: by its own name in zone.tab, else by the name it links to; None if no country's.

    A zone that names no place belongs to no country, though tzdata links some of them to one that keeps the same clock
    (EST to America/Panama, CET to Europe/Brussels).
    """
    if names_no_place(name):
        return None
    own, linked = _countries().get(name), _links().get(name)
    # A link may name another link.
    return own or (country_of_zone(linked) if linked else None)


@cache
def countries_of_zone(name: str) -> frozenset[str]:
    """Every country that keeps this zone's clock: Europe/Berlin is Denmark's, Norway's and Sweden's too."""
    country = country_of_zone(name)
    shared = _sharing().get(name, frozenset())
    # Only a name without a country of its own is what it links to: Europe/Amsterdam is not Belgium's.
    linked = _links().get(name)
    if linked and name not in _countries() and not names_no_place(name):
        shared |= countries_of_zone(linked)
    return shared | ({country} if country else frozenset())


@cache
def offsets_of_country(country: str) -> frozenset[int]:
    """The offsets that clocks of a country show in these years, minutes east of UTC; empty where it has no zone."""
    return frozenset(
        offset_at(name, instant) // 60 for name in zones_of_countries().get(country, ()) for instant in _LOOKS
    )


@cache
def _countries() -> dict[str, str]:
    # Official codes alone: Europe/Belgrade is Serbia's, whoever else lives by it.
    return {
        name: country
        for country, names in zones_of_countries().items()
        if country in official_countries()
        for name in names
    }


@cache
def _sharing() -> dict[str, frozenset[str]]:
    found = {rest.split("\t")[1]: frozenset(countries.split(",")) for countries, rest in _rows("zone1970.tab")}
    for country, names in codes().assigned.items():
        for name in names:
            found[name] = found.get(name, frozenset()) | {country}
    return found


@cache
def _links() -> dict[str, str]:
    # tzdata.zi names a link as "L target name".
    lines = zone_data("tzdata.zi").read_text(encoding="utf-8").splitlines()
    links = (line.split() for line in lines if line.startswith("L "))
    return {name: target for _, target, name in links}


def _rows(table: str) -> list[tuple[str, str]]:
    lines = zone_data(table).read_text(encoding="utf-8").splitlines()
    split = (line.partition("\t") for line in lines if line and not line.startswith("#"))
    return [(code, rest) for code, _, rest in split]
