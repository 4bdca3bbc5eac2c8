"""How people write countries: codes that are understood beside ISO 3166-1, and what to write instead of old ones.

The data is ``packs/places/codes.toml``. One place for every way in: the API, files, scenarios, the command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from policies.local_time import known_zones, zone_data
from policies.toml_source import Table, read_toml

_COUNTRY = re.compile(r"[A-Z]{2}")
#: The shape of a region's code (ISO 3166-2): its country and its own part.
REGION = re.compile(r"([A-Z]{2})-([A-Z0-9]{1,3})")
#: Free for anybody's own use by ISO 3166-1: they name a country only among those who agreed on it.
_PRIVATE = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """What ``codes.toml`` states."""

    #: A code that is written → the official one.
    understood: Mapping[str, str]
    #: Countries that ISO has no code for → their zones.
    assigned: Mapping[str, tuple[str, ...]]
    #: A code that no country has any more → what to write instead, in words.
    withdrawn: Mapping[str, str]


@cache
def codes() -> Codes:
    """The codes beside those of ISO 3166-1."""
    path = resources.files("policies").joinpath("packs", "places", "codes.toml")
    return parse_codes(path.read_text(encoding="utf-8"), where="packs/places/codes.toml")


def country_code(written: str) -> str | None:
    """The country's code as Duly keeps it ("uk" → "GB", "EL" → "GR", "XK"); None where it names no country."""
    code = written.strip().upper()
    code = codes().understood.get(code, code)
    return code if code in official_countries() or code in codes().assigned else None


def region_code(written: str) -> str | None:
    """The region's code as Duly keeps it ("uk-eng" → "GB-ENG"); None where it names no region of a country.

    Only the shape and the country are checked: Duly has no list of all regions.
    """
    found = REGION.fullmatch(written.strip().upper())
    country = country_code(found[1]) if found else None
    return f"{country}-{found[2]}" if found and country else None


def instead_of(written: str) -> str:
    """What to write instead of a code that names no country, as one clause; "" where nothing better is known."""
    code = written.strip().upper().partition("-")[0]
    if (advice := codes().withdrawn.get(code)) is not None:
        return advice
    if code == "EU":
        return "EU is not a country code: write the member's, such as DE"
    if _COUNTRY.fullmatch(code) and _PRIVATE.fullmatch(code) and country_code(code) is None:
        return f"{code} does not stand for a country: write the country's own code, or leave it out"
    return ""


@cache
def official_countries() -> frozenset[str]:
    """The ISO 3166-1 codes, from tzdata's iso3166.tab."""
    lines = zone_data("iso3166.tab").read_text(encoding="utf-8").splitlines()
    return frozenset(line.partition("\t")[0] for line in lines if line and not line.startswith("#"))


def parse_codes(text: str, *, where: str) -> Codes:
    """What ``text`` states. Raises PolicyError with file, line and key."""
    document = read_toml(text, where=where)
    about = document.table("codes")
    if about is None:
        raise document.error("codes", "the table is missing")
    for key in ("citation", "checked"):
        about.text(key)
    about.texts("sources")
    about.done(also=("reviewed_on",))
    understood: dict[str, str] = {}
    for entry in document.tables("understood"):
        code, means = _free(entry), entry.text("means")
        _official(entry, "means", means)
        understood[code] = means
        _explained(entry)
    assigned: dict[str, tuple[str, ...]] = {}
    for entry in document.tables("assigned"):
        code, zones = _free(entry), entry.texts("zones")
        for name in zones:
            if name not in known_zones():
                raise entry.error("zones", f"`{name}` is not an IANA time zone, such as Europe/Belgrade")
        entry.text("name")
        assigned[code] = zones
        _explained(entry)
    withdrawn: dict[str, str] = {}
    for entry in document.tables("withdrawn"):
        code, instead = _free(entry), entry.texts("instead")
        for each in instead:
            _official(entry, "instead", each)
        withdrawn[code] = f"{code} is {_explained(entry)}: write {_either(instead)}"
    document.done()
    return Codes(understood=understood, assigned=assigned, withdrawn=withdrawn)


def _free(entry: Table) -> str:
    code = entry.text("code")
    if not _COUNTRY.fullmatch(code) or code in official_countries():
        raise entry.error("code", f"`{code}` must be two letters that ISO 3166-1 gives to no country today")
    return code


def _official(entry: Table, key: str, code: str) -> None:
    if code not in official_countries():
        raise entry.error(key, f"`{code}` is not an ISO 3166-1 country code, such as FR")


def _explained(entry: Table) -> str:
    why = entry.text("why")
    entry.done()
    return why


def _either(codes: tuple[str, ...]) -> str:
    return codes[0] if len(codes) == 1 else f"{', '.join(codes[:-1])} or {codes[-1]}"
