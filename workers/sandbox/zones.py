"""Local time in a person's true zone, read from the ``tzdata`` package, never from the machine's own files."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo


@cache
def zone(name: str) -> ZoneInfo:
    """The IANA zone called ``name``. Raises ValueError when there is none."""
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"`{name}` is not an IANA time zone")
    try:
        with resources.files("tzdata").joinpath("zoneinfo", *parts).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError):
        raise ValueError(f"`{name}` is not an IANA time zone") from None


def local(at: float, name: str) -> datetime:
    """The wall clock in zone ``name`` at the instant ``at`` (epoch seconds)."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone(name))


def offset_hours(at: float, name: str) -> float:
    """Hours east of UTC at ``at``, as a profile tells them: a fraction where the zone has one."""
    offset = local(at, name).utcoffset()
    assert offset is not None  # an aware datetime has one
    hours = offset.total_seconds() / 3600
    return int(hours) if hours == int(hours) else hours
