"""The sandbox's own reader of the time: one reading gives the machine's instant and the virtual one."""

from __future__ import annotations

import asyncio
import math
import mmap
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

_START, _RATE, _ORIGIN = "DULY_CLOCK_START", "DULY_CLOCK_RATE", "DULY_CLOCK_ORIGIN"
_FILE = "DULY_CLOCK_FILE"
#: A clock in a file that several processes share: where it stands (not a number while it runs); start, rate, origin.
_STANDS, _RUNS = struct.Struct("<d"), struct.Struct("<3d")
#: Real seconds between two looks at a clock that stands.
_LOOK_AGAIN = 0.05


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
    #: The file, mapped: where there is one, it says what rate and origin are now, and may stand.
    shared: mmap.mmap | None = None

    @property
    def is_virtual(self) -> bool:
        """Whether it differs from the machine's clock."""
        return self != Clock()

    def read(self) -> Moment:
        """The present instant on both clocks."""
        real = time.time()  # noqa: TID251 - this is the one place of the sandbox that reads the clock
        if self.shared is None:
            return Moment(real, self.start + (real - self.origin) * self.rate)
        # In this order: it is written in the other.
        (stands,) = _STANDS.unpack_from(self.shared)
        start, rate, origin = _RUNS.unpack_from(self.shared, _STANDS.size)
        return Moment(real, start + (real - origin) * rate if math.isnan(stands) else stands)

    def real_seconds_until(self, at: float) -> float:
        """Seconds on the machine's clock until this clock shows ``at`` if it runs all the time; never below 0."""
        rate = self.rate if self.shared is None else _RUNS.unpack_from(self.shared, _STANDS.size)[1]
        return max(0.0, (at - self.read().at) / rate)

    async def until(self, at: float) -> None:
        """Wait until this clock shows ``at``, also where it stands meanwhile."""
        await asyncio.sleep(self.real_seconds_until(at))
        while self.shared is not None and (left := self.real_seconds_until(at)) > 0:
            await asyncio.sleep(min(left, _LOOK_AGAIN) if math.isnan(self._stands()) else _LOOK_AGAIN)

    def _stands(self) -> float:
        assert self.shared is not None  # asked only then
        return float(_STANDS.unpack_from(self.shared)[0])


def clock_from(environment: Mapping[str, str]) -> Clock:
    """The clock that ``DULY_CLOCK_START``, ``_RATE`` and ``_ORIGIN`` describe, or the one in the file that
    ``DULY_CLOCK_FILE`` names. Raises ValueError naming a variable."""
    if environment.get(_FILE):
        return _shared_clock(environment[_FILE])
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


def _shared_clock(path: str) -> Clock:
    try:
        with open(path, "rb") as file:
            shared = mmap.mmap(file.fileno(), _STANDS.size + _RUNS.size, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ValueError(f"{_FILE}: {path} is not a clock: {error}") from None
    start, rate, origin = _RUNS.unpack_from(shared, _STANDS.size)
    return Clock(start, rate, origin, shared)


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
