"""What the processes of one worker share: how many may deliver at once, and that it is time to end.

Made before the pool forks. Locks belong to processes and die with them, so a killed child leaves none behind.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A limited number of turns over all children, and the drain flag."""

    def __init__(self) -> None:
        """Make both; children inherit them when they are forked."""
        # POSIX record locks on an unnamed file: per process (not per descriptor), and the kernel frees a dead one's.
        self._file, path = tempfile.mkstemp(prefix="duly-turns-")
        os.unlink(path)
        self._flag = mmap.mmap(-1, 1)

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

    def close(self) -> None:
        """Let go of both; whoever inherited them keeps them."""
        os.close(self._file)
        self._flag.close()

    def drain(self) -> None:
        """Tell all children to begin nothing new."""
        self._flag[0] = 1

    @property
    def draining(self) -> bool:
        """Whether the worker was asked to end."""
        return self._flag[0] == 1


turns = Turns()
