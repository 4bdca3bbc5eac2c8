"""The countries of the world and their zones, from the locked tzdata package."""

from __future__ import annotations

import re
from functools import cache

from policies.local_time import zone_data

_REGION = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")


@cache
def known_countries() -> frozenset[str]:
    """The ISO 3166-1 codes, from tzdata's iso3166.tab."""
    return frozenset(code for code, _ in _rows("iso3166.tab"))


def known_place(code: str) -> bool:
    """Whether this is a country's code, or has the shape of a region's (ISO 3166-2) of a known country."""
    region = _REGION.fullmatch(code)
    return (region[1] if region else code) in known_countries()


@cache
def zones_of_countries() -> dict[str, tuple[str, ...]]:
    """Every country's zones, by its ISO code, from tzdata's zone.tab."""
    found: dict[str, list[str]] = {}
    for country, rest in _rows("zone.tab"):
        found.setdefault(country, []).append(rest.split("\t")[1])
    return {country: tuple(names) for country, names in found.items()}


@cache
def country_of_zone(name: str) -> str | None:
    """The country of an IANA zone: by its own name in zone.tab, else by the name it links to; None if no country's."""
    own, linked = _countries().get(name), _links().get(name)
    # A link may name another link.
    return own or (country_of_zone(linked) if linked else None)


@cache
def _countries() -> dict[str, str]:
    return {name: country for country, names in zones_of_countries().items() for name in names}


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
