"""Webhooks that took their group down, each received by itself, in a few threads.

Somebody may keep a contact locked. Who waits for that goes behind the others after a moment, and comes again: webhooks
about other people are not held up by it.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import Protocol

from sqlalchemy.exc import OperationalError

_THREADS = 4
#: How often something is tried that the database made the victim of a deadlock.
_TRIES = 3
_DEADLOCK = "40P01"
#: Real seconds for which something is tried that waits for a lock. Each try has its own patience, a short one.
_LONGEST = 30.0
_LOCKED = "55P03"


class Task(Protocol):
    """Something to do."""

    def __call__(self) -> None:
        """Do it, and raise where it could not be done."""

    def failed(self, error: Exception) -> None:
        """It could not be done, and is not tried again."""


class Alone:
    """Does tasks one by one in each of its threads; those that were tried least come first."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        #: (how often it was tried, in which order it came, when it is given up, what it is).
        self._waiting: list[tuple[int, int, float, Task]] = []
        self._order = itertools.count()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def put(self, task: Task) -> None:
        """Have it done."""
        self._put(0, time.monotonic() + _LONGEST, task)

    def close(self) -> None:
        """Wait until everything is done or has failed."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join(timeout=_LONGEST)

    def _put(self, tries: int, until: float, task: Task) -> None:
        with self._turn:
            if len(self._threads) < _THREADS:
                self._start()
            heapq.heappush(self._waiting, (tries, next(self._order), until, task))
            self._turn.notify()

    def _start(self) -> None:
        """Start one more thread. Raises RuntimeError where not even one can be started."""
        thread = threading.Thread(target=self._work, name=f"webhook-alone-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
            return
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._waiting:
                    if self._closed:
                        return
                    self._turn.wait()
                tries, _, until, task = heapq.heappop(self._waiting)
            try:
                task()
            except Exception as error:  # whatever it is: it is told, or it is tried again
                if _passes(error, tries + 1, until):
                    self._put(tries + 1, until, task)
                else:
                    task.failed(error)


def _passes(error: Exception, tries: int, until: float) -> bool:
    """Whether what failed so often should be tried again."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, OperationalError) else None
    return (state == _DEADLOCK and tries < _TRIES) or (state == _LOCKED and time.monotonic() < until)
