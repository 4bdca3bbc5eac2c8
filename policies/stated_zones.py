"""Names of time zones as people and systems write them: IANA names, and names that say an offset but no place.

``UTC``, ``EST`` or ``Etc/GMT+5`` are in tzdata's list, and nobody lives there: shop systems write them where they know
nothing better, and many write the sign of ``Etc/GMT±n`` the wrong way round (``Etc/GMT+5`` is five hours *behind* UTC,
as POSIX has it; tzdata's file ``etcetera``). What such a name is good for is in ``policies.places``.
"""

from __future__ import annotations

import re
from functools import cache

from policies.local_time import zone_names

#: Minutes east of UTC in standard time. These are whole continents' clocks, with or without summer time (tzdata's
#: files ``northamerica`` and ``europe``, since 2024b links in ``backward``).
_STANDARD = {
    "EST": -300, "EST5EDT": -300, "CST6CDT": -360, "MST": -420, "MST7MDT": -420, "PST8PDT": -480, "HST": -600,
    "WET": 0, "CET": 60, "MET": 60, "EET": 120,
}  # fmt: skip
_UTC = re.compile(r"(?:Etc/)?(?:UTC|UCT|Universal|Zulu|Greenwich|GMT0?|GMT[+-]0)")
_SIGNED = re.compile(r"Etc/GMT([+-])(\d{1,2})")
#: In tzdata's list, or beside it, and without a clock.
_NOTHING = frozenset({"Factory", "localtime", "posixrules"})
#: What POSIX takes for a zone ("EST5EDT,M3.2.0,M11.1.0", "<-03>3"), and offsets as people do ("UTC-5", "+01:00").
_WRITTEN_OFFSET = re.compile(r":?(?:<[A-Za-z0-9+-]+>|[A-Za-z]{1,6})?\s*[+-]?\d{1,2}(?::?\d\d){0,2}(?:[A-Za-z<,].*)?")


@cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in zone_names()}


def known_zone(written: str) -> str | None:
    """The zone of tzdata called so, in its own spelling ("europe/berlin" → "Europe/Berlin"); None if there is none."""
    return _by_folded_name().get(written.strip().casefold())


def telling_zone(written: str) -> str | None:
    """The same, but None for what says nothing of anybody's clock (Factory): for whoever is told a zone."""
    found = known_zone(written)
    return None if found is not None and names_no_place(found) and offset_of(found) is None else found


def names_no_place(name: str) -> bool:
    """Whether a zone of tzdata names no place on earth."""
    return name in _NOTHING or name in _STANDARD or bool(_UTC.fullmatch(name) or _SIGNED.fullmatch(name))


def offset_of(name: str) -> int | None:
    """The offset that a zone without a place names, minutes east of UTC; None where it names none (Factory)."""
    if (signed := _SIGNED.fullmatch(name)) and signed[2] != "0":
        # POSIX counts westwards.
        return int(signed[2]) * (60 if signed[1] == "-" else -60)
    return 0 if _UTC.fullmatch(name) else _STANDARD.get(name)


def sign_is_doubtful(name: str) -> bool:
    """Whether people often write this name and mean the opposite sign."""
    return bool(_SIGNED.fullmatch(name)) and bool(offset_of(name))


def looks_like_an_offset(written: str) -> bool:
    """Whether this is an offset and not a zone's name, as POSIX or people write it."""
    return bool(_WRITTEN_OFFSET.fullmatch(written.strip()))
