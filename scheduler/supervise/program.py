"""One program that the supervisor keeps running."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from scheduler.store import process


class Kept(Protocol):
    """What a keeper can keep: an embedded server or a program."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        """Start it."""

    def ready(self) -> bool:
        """Whether it does its work by now."""

    def stop(self) -> None:
        """Stop it and wait until it is gone."""


class Program:
    """A command with its environment, its log and the sign that it is ready."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        ready: Callable[[], bool],
        patience: float = 10.0,
        standby: Sequence[str] | None = None,
    ) -> None:
        """``patience``: real seconds between being asked to end and being killed. ``standby``: the command of one that
        gets ready and takes over when it reads a line."""
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._argv = list(argv)
        self._environment = environment
        self._ready = ready
        self._patience = patience
        self._standby = list(standby) if standby is not None else None
        self._waiting: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or let the one that stands by take over; returns before it is ready."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            if _tell(waiting):
                self.process = waiting
                return
            _end(waiting)
        self.process = self._spawn(self._argv)

    def stand_by(self) -> None:
        """Start one that waits to take over, unless there is one or none was wished for."""
        if self._standby is None or (self._waiting is not None and self._waiting.poll() is None):
            return
        if self._waiting is not None:
            _end(self._waiting)
        self._waiting = self._spawn(self._standby, listens=True)

    @property
    def waiting(self) -> subprocess.Popen[bytes] | None:
        """The one that stands by, if there is one."""
        return self._waiting

    def _spawn(self, argv: list[str], *, listens: bool = False) -> subprocess.Popen[bytes]:
        # SIGTERM, not SIGKILL: a Celery worker that is told to end takes its pool along, a killed one may leave it.
        return process.spawn(argv, log=self.log, env=self._environment, death_signal=signal.SIGTERM, listens=listens)

    def ready(self) -> bool:
        """Whether it runs and shows its sign."""
        return self.process is not None and self.process.poll() is None and self._ready()

    def ask(self) -> None:
        """Ask it to end, without waiting."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """Stop it and its group, and wait until they are gone; who stands by ends too."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            _end(waiting)
        if self.process is not None:
            process.stop(self.process, patience=self._patience)
            self.process = None


def _end(waiting: subprocess.Popen[bytes]) -> None:
    """End one that has not taken over."""
    if waiting.stdin is not None:
        waiting.stdin.close()
    process.stop(waiting, patience=0.0)


def _tell(waiting: subprocess.Popen[bytes]) -> bool:
    """Tell it to take over; false when it is gone."""
    if waiting.poll() is not None or waiting.stdin is None:
        return False
    try:
        waiting.stdin.write(b"\n")
        waiting.stdin.close()
    except OSError:
        return False
    return True
