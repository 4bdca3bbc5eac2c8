"""The sandbox's own reader of the time: one reading gives the machine's instant and the virtual one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

_START, _RATE, _ORIGIN = "DULY_CLOCK_START", "DULY_CLOCK_RATE", "DULY_CLOCK_ORIGIN"


class Moment(NamedTuple):
    """One reading: ``real`` is the machine's Unix time, ``at`` the platform's; both seconds with their fraction."""

    real: float
    at: float


@dataclass(frozen=True, slots=True)
class Clock:
    """at = start + (real - origin) x rate. The default is the machine's own clock."""

    start: float = 0.0
    rate: float = 1.0
    origin: float = 0.0

    @property
    def is_virtual(self) -> bool:
        """Whether it differs from the machine's clock."""
        return self != Clock()

    def read(self) -> Moment:
        """The present instant on both clocks."""
        real = time.time()  # noqa: TID251 - this is the one place of the sandbox that reads the clock
        return Moment(real, self.start + (real - self.origin) * self.rate)

    def real_seconds_until(self, at: float) -> float:
        """Seconds on the machine's clock until this clock shows ``at``; never below 0."""
        return max(0.0, (at - self.read().at) / self.rate)


def clock_from(environment: Mapping[str, str]) -> Clock:
    """The clock that ``DULY_CLOCK_START``, ``_RATE`` and ``_ORIGIN`` describe. Raises ValueError naming a variable."""
    given = {name: environment.get(name, "") for name in (_START, _RATE, _ORIGIN)}
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return Clock()
    if missing:
        raise ValueError(f"{', '.join(missing)} must be set too: a virtual clock needs start, rate and origin")
    try:
        start = datetime.fromisoformat(given[_START])
    except ValueError:
        raise ValueError(f"{_START}: `{given[_START]}` is not an instant like 2026-03-07T12:00:00Z") from None
    if start.tzinfo is None:
        raise ValueError(f"{_START}: `{given[_START]}` has no offset; write it like 2026-03-07T12:00:00Z")
    rate, origin = _number(_RATE, given[_RATE]), _number(_ORIGIN, given[_ORIGIN])
    if rate <= 0:
        raise ValueError(f"{_RATE}: `{given[_RATE]}` is not above 0")
    return Clock(start.timestamp(), rate, origin)


def words_of(at: float) -> str:
    """``at`` as RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: `{value}` is not a number")
    return number
