"""Instants as scenario files write them: a date and time with its offset, or a time before or after the scenario's.

Epoch seconds UTC come out. ``"90m ago"`` and ``"in 2h"`` count from the scenario's ``at``, or from its first step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from policies.toml_source import Table

_DURATION = r"(?:(\d{1,5})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?"
_AGO = re.compile(_DURATION + r" ago")
_IN = re.compile(r"in " + _DURATION)
_SIZES = (7 * 86_400, 86_400, 3600, 60, 1)
#: What an instant of a scenario may be: decisions look 30 days ahead, and time zones are known for these years.
_FIRST, _LAST = 0, int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())

_FORMS = 'write a date and time with its offset, 2026-03-07T21:30:00-05:00, or how long ago it was, "90m ago"'


@dataclass(frozen=True, slots=True)
class Relative:
    """So many seconds after the scenario's own instant; negative: before it."""

    seconds: int


Instant = int | Relative


def read_instant(table: Table, key: str) -> Instant:
    """The instant of this key, absolute or relative. Raises PolicyError."""
    value = table.raw(key)
    if isinstance(value, str):
        return _relative(table, key, value)
    return _absolute(table, key, value, _FORMS)


def read_absolute(table: Table, key: str) -> int:
    """The instant of this key, which must be a date and time with its offset. Raises PolicyError."""
    return _absolute(table, key, table.raw(key), "write a date and time with its offset, 2026-03-07T21:30:00-05:00")


def resolved(instant: Instant, anchor: int | None, table: Table, key: str) -> int:
    """Epoch seconds. Raises PolicyError where it is relative and there is no ``anchor`` to count from."""
    if isinstance(instant, int):
        return instant
    if anchor is None:
        raise table.error(key, "counts from the scenario's `at`, and there is none")
    return anchor + instant.seconds


def _absolute(table: Table, key: str, value: object, forms: str) -> int:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise table.error(key, f"`{value.isoformat()}` has no offset, so nobody knows when that is; {forms}")
        if value.microsecond:
            raise table.error(key, f"`{value.isoformat()}` is not a whole second: decisions are taken on whole seconds")
        found = int(value.timestamp())
        if not _FIRST <= found < _LAST:
            raise table.error(key, f"`{value.isoformat()}` is not within the years 1970 to 2199")
        return found
    if isinstance(value, date | time):
        raise table.error(key, f"`{value.isoformat()}` is not an instant; {forms}")
    raise table.error(key, f"`{value}` is not an instant; {forms}")


def _relative(table: Table, key: str, written: str) -> Relative:
    found = _AGO.fullmatch(written) or _IN.fullmatch(written)
    if found is None or not any(found.groups()):
        hint = "; a date and time stands without quotation marks" if written[:1].isdigit() and "T" in written else ""
        raise table.error(key, f"`{written}` is not an instant; {_FORMS}{hint}")
    seconds = sum(int(count) * size for count, size in zip(found.groups(), _SIZES, strict=True) if count)
    return Relative(seconds if written.startswith("in ") else -seconds)
