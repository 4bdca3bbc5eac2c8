"""Which names of zones, countries, regions and locales exist. From the locked ``tzdata`` package, never the machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from policies import local_time
from policies.countries import known_countries
from policies.country_codes import country_code, instead_of, region_code
from policies.facts import Facts
from policies.places import place_of
from policies.stated_zones import looks_like_an_offset, telling_zone
from policies.territories import territory_of_region
from scheduler.contacts.country_names import country_named
from scheduler.errors import Invalid

#: More candidates than this are not evidence of anything.
MAX_ZONES = 16

_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z]{4})?([_-]([A-Za-z]{2}|[0-9]{3}))?")


@cache
def zone_names() -> frozenset[str]:
    """Every zone of tzdata that says something, links included."""
    return frozenset(each for each in local_time.zone_names() if known_zone(each) is not None)


def country_codes() -> frozenset[str]:
    """Every ISO 3166-1 alpha-2 code, and those in use beside them (XK)."""
    return known_countries()


def known_zone(zone: str) -> str | None:
    """The IANA zone called ``zone``, in its own spelling; None when there is none, or it says nothing (Factory)."""
    return telling_zone(zone)


def check_zone(zone: str, *, field: str = "timezone") -> str:
    """The IANA zone called ``zone``, in its own spelling. Raises Invalid."""
    found = known_zone(zone)
    if found is None:
        if looks_like_an_offset(zone):
            raise Invalid(
                f"`{_shown(zone)}` is an offset, not an IANA time zone",
                field=field,
                way_out="use the name of a place, like America/New_York, or give the country",
            )
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
    """``country`` as an ISO 3166-1 alpha-2 code; UK is understood as GB, EL as GR. Raises Invalid."""
    code = country_code(country)
    if code is None:
        raise Invalid(
            f"`{_shown(country)}` is not an ISO 3166-1 country code",
            field=field,
            way_out=_instead(country) or "use two letters, like US or DE",
        )
    return code


def check_region(region: str, *, country: str | None = None, field: str = "region") -> str:
    """``region`` as an ISO 3166-2 code, of ``country`` where that is known. Raises Invalid.

    A territory's region is in its state and in the territory: FR-974 in FR and in RE.
    """
    code = region_code(region)
    if code is None:
        raise Invalid(
            f"`{_shown(region)}` is not an ISO 3166-2 code",
            field=field,
            way_out=("-" in region and instead_of(region))
            or "use the country's two letters, a dash and the subdivision, like US-FL",
        )
    if country is not None and not in_country(code, country):
        raise Invalid(
            f"region `{code}` is not in country `{country}`", field=field, way_out="correct the region or the country"
        )
    return code


def _instead(country: str) -> str:
    named = country_named(country)
    return f"write {named}" if named is not None else instead_of(country)


def in_country(region: str, country: str) -> bool:
    """Whether a region's code is the country's; a territory's region is in its state and in the territory."""
    territory = territory_of_region(region)
    return country == region.partition("-")[0] or (territory is not None and country == territory.code)


def odd_zones(zones: Sequence[str], country: str | None, region: str | None) -> tuple[str, ...]:
    """What is odd about zones that were stated with this country and region, in whole clauses; empty for nothing."""
    return place_of(Facts(timezones=tuple(zones), country=country, region=region)).remarks


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
