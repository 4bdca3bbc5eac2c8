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
    ) -> None:
        """``patience``: real seconds between being asked to end and being killed."""
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._argv = list(argv)
        self._environment = environment
        self._ready = ready
        self._patience = patience

    def start(self) -> None:
        """Start it; returns before it is ready."""
        # SIGTERM, not SIGKILL: a Celery worker that is told to end takes its pool along, a killed one may leave it.
        self.process = process.spawn(self._argv, log=self.log, env=self._environment, death_signal=signal.SIGTERM)

    def ready(self) -> bool:
        """Whether it runs and shows its sign."""
        return self.process is not None and self.process.poll() is None and self._ready()

    def ask(self) -> None:
        """Ask it to end, without waiting."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """Stop it and its group, and wait until they are gone."""
        if self.process is not None:
            process.stop(self.process, patience=self._patience)
            self.process = None
