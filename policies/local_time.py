"""What clocks on walls show: time zones from the locked ``tzdata`` package, never from the machine.

Everything here rests on *pieces*: stretches of time in which a zone's offset does not change. Within a piece local time
runs as evenly as UTC does, so a question about local time becomes plain arithmetic, and gaps and folds of a change of
clocks need no case of their own: the wall clock is read literally, in both passes of a fold, and what falls into a gap
takes effect at the change.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # it publishes no types; one string is taken from it

DAY = 86_400

#: Pieces are worked out for a whole chunk of time at once, with a margin before it for what was sent and one after it
#: for the horizon of a decision.
CHUNK = 8 * DAY
MARGIN = 32 * DAY

#: No zone changes its clocks twice within this time (a test looks).
_STEP = DAY // 2

#: (start, end, offset): local time = UTC + offset in [start, end). Seconds.
Piece = tuple[int, int, int]
Pieces = tuple[Piece, ...]

_FIXED = re.compile(r"UTC([+-])(\d\d):(\d\d)")
_MEMORY = 20_000

_pieces: dict[tuple[str, int], Pieces] = {}


def tzdata_version() -> str:
    """The version of the time zone data that decisions are taken with, such as "2026f"."""
    return str(tzdata.IANA_VERSION)


def zone_data(name: str) -> Traversable:
    """The data file ``name`` of the tzdata package, such as "zone.tab" or "Europe/Berlin"."""
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))


@cache
def zone_names() -> tuple[str, ...]:
    """Every zone of tzdata, links included, sorted."""
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return tuple(sorted(listed.split()))


@cache
def known_zones() -> frozenset[str]:
    """The same, to ask whether a name is among them."""
    return frozenset(zone_names())


def fixed_offset(minutes: int) -> str:
    """The name that stands for a fixed offset, ``minutes`` east of UTC, wherever a zone's name may stand."""
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of this name. Raises LookupError. Kept for good: ZoneInfo's own cache forgets all but eight."""
    if name not in known_zones():
        raise LookupError(f"`{name}` is not a time zone of tzdata {tzdata_version()}")
    with zone_data(name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _fingerprint(name: str) -> bytes:
    if _FIXED.fullmatch(name):
        return name.encode()
    zone(name)  # an unknown name is refused here, before it becomes a path
    return hashlib.sha256(zone_data(name).read_bytes()).digest()


@cache
def distinct_zones(names: tuple[str, ...]) -> tuple[str, ...]:
    """The zones without those that are another one by a second name. Order is kept."""
    found: dict[bytes, str] = {}
    for name in names:
        found.setdefault(_fingerprint(name), name)
    return tuple(found.values())


def offset_at(name: str, instant: int) -> int:
    """Seconds east of UTC in the zone at ``instant``. Raises LookupError for an unknown zone."""
    if fixed := _FIXED.fullmatch(name):
        seconds = int(fixed[2]) * 3600 + int(fixed[3]) * 60
        return -seconds if fixed[1] == "-" else seconds
    offset = datetime.fromtimestamp(instant, zone(name)).utcoffset()
    assert offset is not None
    return offset.days * DAY + offset.seconds


def pieces(name: str, chunk: int) -> Pieces:
    """The zone's pieces over a chunk (an instant // CHUNK) and the margins around it. Raises LookupError."""
    found = _pieces.get((name, chunk))
    if found is None:
        if len(_pieces) >= _MEMORY:
            _pieces.clear()
        found = _pieces[name, chunk] = _find_pieces(name, chunk * CHUNK - MARGIN, (chunk + 1) * CHUNK + MARGIN)
    return found


def _find_pieces(name: str, start: int, end: int) -> Pieces:
    if _FIXED.fullmatch(name):
        return ((start, end, offset_at(name, start)),)
    found: list[Piece] = []
    begun, offset = start, offset_at(name, start)
    for sample in range(start + _STEP, end + _STEP, _STEP):
        then = offset_at(name, sample)
        if then == offset:
            continue
        before, after = sample - _STEP, sample
        while after - before > 1:
            middle = (before + after) // 2
            if offset_at(name, middle) == offset:
                before = middle
            else:
                after = middle
        if after < end:
            found.append((begun, after, offset))
            begun, offset = after, then
    found.append((begun, end, offset))
    return tuple(found)


def local_day(instant: int, offset: int) -> int:
    """The number of the local day, counted from 1970-01-01, under this offset."""
    return (instant + offset) // DAY


def monday_of(day: int) -> int:
    """The number of the Monday of that day's week."""
    return day - (day + 3) % 7


def wall_clock(name: str, instant: int) -> str:
    """What to show people: "2026-03-07 21:30 EST" in the zone, or with its offset where it is fixed."""
    if _FIXED.fullmatch(name):
        local = datetime.fromtimestamp(instant + offset_at(name, instant), UTC)
        return f"{local:%Y-%m-%d %H:%M} {name}"
    return f"{datetime.fromtimestamp(instant, zone(name)):%Y-%m-%d %H:%M %Z}"
