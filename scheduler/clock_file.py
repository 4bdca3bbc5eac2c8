"""A virtual clock in a file that all processes share: it can stand still, which one made of an origin alone cannot.

Four doubles: where it stands (not a number while it runs), the instant START that it shows at ORIGIN, its RATE, and the
Unix time ORIGIN. Whoever holds it writes; everybody else reads. ``workers/sandbox/clock.py`` reads the same file.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from functools import lru_cache
from pathlib import Path

from scheduler.errors import SettingsInvalid

_STANDS = struct.Struct("<d")
_RUNS = struct.Struct("<3d")
SIZE = _STANDS.size + _RUNS.size


class ClockFile:
    """One such clock, mapped into this process."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsInvalid where there is no such file."""
        try:
            with path.open("r+b" if os.access(path, os.W_OK) else "rb") as file:
                access = mmap.ACCESS_WRITE if file.writable() else mmap.ACCESS_READ
                self._shown = mmap.mmap(file.fileno(), SIZE, access=access)
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"DULY_CLOCK_FILE: {path} is not a clock: {error}") from error

    @classmethod
    def make(cls, path: Path, start: float, rate: float) -> ClockFile:
        """A new one that stands at ``start`` (epoch seconds) and will run ``rate`` times as fast as real time."""
        path.write_bytes(_STANDS.pack(start) + _RUNS.pack(start, rate, 0.0))
        # Where another one was before, it is not to be read any more.
        clock_file.cache_clear()
        return cls(path)

    def read(self, unix: float) -> float:
        """What it shows at the Unix time ``unix``, epoch seconds."""
        # INVARIANT: where it stands is read first and, by ``go``, written last. A reader that is interrupted in between
        # is late by a moment, and never ahead by as long as the clock stood.
        (stands,) = _STANDS.unpack_from(self._shown)
        if not math.isnan(stands):
            return float(stands)
        start, rate, origin = _RUNS.unpack_from(self._shown, _STANDS.size)
        return float(start + (unix - origin) * rate)

    @property
    def rate(self) -> float:
        """How fast it is when it runs: durations about machines count by this, also while it stands."""
        return float(_RUNS.unpack_from(self._shown, _STANDS.size)[1])

    @property
    def stands(self) -> bool:
        """Whether it stands still now."""
        return not math.isnan(_STANDS.unpack_from(self._shown)[0])

    def stand(self, unix: float) -> None:
        """Let it stand from now, the Unix time ``unix``, on."""
        _STANDS.pack_into(self._shown, 0, self.read(unix))

    def go(self, unix: float, rate: float | None = None) -> None:
        """Let it run on from where it stands, from now on, as fast as before or by another ``rate``."""
        if self.stands:
            start, before, _origin = _RUNS.unpack_from(self._shown, _STANDS.size)
            rate = rate or before
            _RUNS.pack_into(self._shown, _STANDS.size, start, rate, unix - (self.read(unix) - start) / rate)
            _STANDS.pack_into(self._shown, 0, math.nan)


@lru_cache(maxsize=8)
def clock_file(path: Path) -> ClockFile:
    """The clock in ``path``, mapped once a process."""
    return ClockFile(path)
