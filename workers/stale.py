"""A worker that is far ahead of time drops all that beat asks for, as stale; so it tells that by itself.

Celery throws such tasks away in the worker's main process, before any child could look at a clock. So that process
holds its own clock against the database's, whatever arrives, and counts what it threw away.
"""

from __future__ import annotations

import threading
import time

from celery import signals

from scheduler import clock
from scheduler.logs import complain, get_logger
from scheduler.metrics import TASKS_STALE
from scheduler.outbox.clocks import Clocks

_log = get_logger(__name__)

#: Real seconds between two looks, and between two lines about tasks that were dropped.
_EVERY = 5.0
_LINES = 60.0


class StaleTasks:
    """Counts the tasks that were dropped for their age, and says so once a minute."""

    def __init__(self) -> None:
        self._since_told = 0
        self._told_at = float("-inf")

    def dropped(self, name: str) -> None:
        """One more was."""
        TASKS_STALE.inc()
        self._since_told += 1
        if time.monotonic() - self._told_at >= _LINES:
            _log.error("tasks_stale", count=self._since_told, last=name)
            self._since_told, self._told_at = 0, time.monotonic()


class ClockWatch:
    """Holds the clock of the worker's main process against the database's, in a thread, until it is stopped."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._clocks = Clocks()
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Begin. On a virtual clock there is nothing to watch."""
        if not clock.is_virtual():
            self._thread.start()

    def stop(self) -> None:
        """End, after the look that is being taken."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._clocks.look()
            except Exception as error:  # whatever it is: it is looked again
                complain(_log, "clock_not_looked_at", "", error=type(error).__name__)
            self._over.wait(_EVERY)


_stale = StaleTasks()


@signals.task_revoked.connect
def _on_revoked(sender: object = None, expired: bool = False, **_: object) -> None:
    if expired:
        _stale.dropped(str(getattr(sender, "name", "")))
