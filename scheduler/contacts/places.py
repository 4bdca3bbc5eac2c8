"""Which names of zones, countries, regions and locales exist. From the locked ``tzdata`` package, never the machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from scheduler.errors import Invalid

#: Candidates beyond this are no evidence of anything.
MAX_ZONES = 16

_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z]{4})?([_-]([A-Za-z]{2}|[0-9]{3}))?")

#: In the list of zones, but nobody lives there.
_NO_PLACES = frozenset({"Factory", "localtime", "posixrules", "leapseconds", "tzdata.zi"})


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone, links included."""
    listed = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    return frozenset(listed) - _NO_PLACES


@cache
def country_codes() -> frozenset[str]:
    """Every ISO 3166-1 alpha-2 code."""
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    return frozenset(line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#"))


@cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in zone_names()}


def known_zone(zone: str) -> str | None:
    """The IANA zone called ``zone``, in its own spelling; None when there is none."""
    return _by_folded_name().get(zone.strip().casefold())


def check_zone(zone: str, *, field: str = "timezone") -> str:
    """The IANA zone called ``zone``, in its own spelling. Raises Invalid."""
    found = known_zone(zone)
    if found is None:
        raise Invalid(
            f"`{_shown(zone)}` is not an IANA time zone", field=field, way_out="use a name like America/New_York"
        )
    return found


def check_zones(zones: Sequence[str], *, field: str = "timezones") -> list[str]:
    """Candidate zones, each checked, in order, without doubles. Raises Invalid."""
    if len(zones) > MAX_ZONES:
        raise Invalid(
            f"{len(zones)} zones are too many candidates", field=field, way_out=f"give up to {MAX_ZONES}, or a country"
        )
    return list(dict.fromkeys(check_zone(zone, field=f"{field}.{place}") for place, zone in enumerate(zones)))


def check_country(country: str, *, field: str = "country") -> str:
    """``country`` as an ISO 3166-1 alpha-2 code. Raises Invalid."""
    code = country.strip().upper()
    if code not in country_codes():
        raise Invalid(
            f"`{_shown(country)}` is not an ISO 3166-1 country code",
            field=field,
            way_out="use two letters, like US or DE",
        )
    return code


def check_region(region: str, *, country: str | None = None, field: str = "region") -> str:
    """``region`` as an ISO 3166-2 code, of ``country`` where that is known. Raises Invalid."""
    code = region.strip().upper()
    if _REGION.fullmatch(code) is None or code[:2] not in country_codes():
        raise Invalid(
            f"`{_shown(region)}` is not an ISO 3166-2 code",
            field=field,
            way_out="use the country's two letters, a dash and the subdivision, like US-FL",
        )
    if country is not None and code[:2] != country:
        raise Invalid(
            f"region `{code}` is not in country `{country}`", field=field, way_out="correct the region or the country"
        )
    return code


def check_locale(locale: str, *, field: str = "locale") -> str:
    """``locale`` as the platform writes it, ``pt_BR``. Raises Invalid."""
    given = locale.strip()
    if _LOCALE.fullmatch(given) is None:
        raise Invalid(
            f"`{_shown(locale)}` is not a locale", field=field, way_out="use a language, or both: pt or pt_BR"
        )
    language, *rest = given.replace("-", "_").split("_")
    return "_".join([language.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])


def _shown(text: str) -> str:
    return text[:64].encode("ascii", "backslashreplace").decode()
