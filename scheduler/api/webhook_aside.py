"""A thread beside those that receive webhooks, for what they need not wait for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Aside(ABC, Generic[Work]):
    """Does what was asked for, at once for the first and then after a pause; the thread starts with the first."""

    def __init__(self, name: str, pause: float) -> None:
        """``pause``: real seconds between two pieces of work."""
        self._name, self._pause = name, pause
        #: Guards what is asked for.
        self._turn = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Do what was asked for, and no more."""
        with self._turn:
            self._closed.set()
            self._turn.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @abstractmethod
    def _take(self) -> Work | None:
        """What is to be done; None: nothing. Called with ``_turn`` held."""

    @abstractmethod
    def _do(self, work: Work) -> bool:
        """Do it; False where it was put back for later."""

    def _wake(self) -> None:
        """Called, with ``_turn`` held, when something was asked for."""
        if self._thread is None and not self._closed.is_set():
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            # Where no thread can be started, what was asked for waits until somebody asks again.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread
        self._turn.notify()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            if not self._do(work) and self._closed.is_set():
                return
            self._closed.wait(self._pause)

    def _next(self) -> Work | None:
        with self._turn:
            while (work := self._take()) is None and not self._closed.is_set():
                self._turn.wait()
            return work
