"""What the processes of one worker share: how many may deliver at once, what ran when, and that it is time to end.

Made before the pool forks. Locks belong to processes and die with them, so a killed child leaves none behind.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

#: So many tasks are periodic at most; where the turns begin to ask when one last ran.
_PLACES, _WIDTH = 64, struct.calcsize("d")
_AGAIN = 10_000


class Turns:
    """A limited number of turns over all children, the drain flag, and when each periodic task last ran here."""

    def __init__(self) -> None:
        """Make all; children inherit them when they are forked."""
        # POSIX record locks on an unnamed file: per process (not per descriptor), and the kernel frees a dead one's.
        self._file, path = tempfile.mkstemp(prefix="duly-turns-")
        os.unlink(path)
        self._flag = mmap.mmap(-1, 1)
        #: When each periodic task last began, ``time.monotonic()``: one clock for all processes of a machine.
        self._began = mmap.mmap(-1, _PLACES * _WIDTH)

    @contextmanager
    def one_of(self, count: int, *, first: int = 0) -> Iterator[bool]:
        """True for at most ``count`` processes at a time; false at once for any further one.

        ``first`` is the place of the first of these turns: other places are other turns.
        """
        for place in range(first, first + count):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError:
                continue
            try:
                yield True
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
            return
        yield False

    def again(self, place: int, seconds: float, present: float) -> bool:
        """Whether it is ``seconds`` since this last said yes for ``place``; of several at once one hears it."""
        with self.one_of(1, first=_AGAIN + place) as mine:
            if not mine:
                return False
            found = slice(place * _WIDTH, (place + 1) * _WIDTH)
            (began,) = struct.unpack("d", self._began[found])
            if began and present - began < seconds:
                return False
            self._began[found] = struct.pack("d", present)
            return True

    def close(self) -> None:
        """Let go of all; whoever inherited them keeps them."""
        os.close(self._file)
        self._flag.close()
        self._began.close()

    def drain(self) -> None:
        """Tell all children to begin nothing new."""
        self._flag[0] = 1

    @property
    def draining(self) -> bool:
        """Whether the worker was asked to end."""
        return self._flag[0] == 1


turns = Turns()
