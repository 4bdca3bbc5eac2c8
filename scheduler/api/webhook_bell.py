"""Rings the workers' doorbell for webhooks, beside the threads that receive them.

A ring is a thousand times dearer than it looks: a handful of messages through the broker. At once for whoever is
alone; for a hundred a second, four times in it, and once more for the last.
"""

from __future__ import annotations

import threading

from scheduler.doorbell import ring

#: Real seconds between two rings.
_PAUSE = 0.25


class Bell:
    """Rings for these tasks."""

    def __init__(self, *tasks: str) -> None:
        self._tasks = tasks
        self._turn = threading.Condition()
        self._asked = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """Have it rung: now, or when the last ring was long enough ago. Waits for nothing."""
        with self._turn:
            if self._asked or self._closed.is_set():
                return
            self._asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhook-bell", daemon=True)
                self._thread.start()
            self._turn.notify()

    def close(self) -> None:
        """Ring for what was asked for, and no more."""
        with self._turn:
            self._closed.set()
            self._turn.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._asked:
                    if self._closed.is_set():
                        return
                    self._turn.wait()
                self._asked = False
            ring(*self._tasks)
            self._closed.wait(_PAUSE)
