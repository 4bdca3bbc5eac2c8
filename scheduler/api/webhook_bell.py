"""Rings the workers' doorbell for webhooks, beside the threads that receive them.

A ring is a thousand times dearer than it looks: a handful of messages through the broker. At once for whoever is
alone; for a hundred a second, four times in it, and once more for the last.
"""

from __future__ import annotations

from scheduler.api.webhook_aside import Aside
from scheduler.doorbell import ring

#: Real seconds between two rings.
_PAUSE = 0.25


class Bell(Aside[tuple[str, ...]]):
    """Rings for these tasks."""

    def __init__(self, *tasks: str) -> None:
        super().__init__("webhook-bell", _PAUSE)
        self._tasks = tasks
        self._asked = False

    def ring(self) -> None:
        """Have it rung: now, or when the last ring was long enough ago. Waits for nothing."""
        with self._turn:
            if self._asked or self._closed.is_set():
                return
            self._asked = True
            self._wake()

    def _take(self) -> tuple[str, ...] | None:
        asked, self._asked = self._asked, False
        return self._tasks if asked else None

    def _do(self, work: tuple[str, ...]) -> bool:
        ring(*work)
        return True
