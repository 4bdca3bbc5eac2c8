"""The log of everything the sandbox saw and answered: JSON lines, on the disk before the answer goes out.

The witness judges from this file alone.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: One line. ``kind`` says what it tells; ``at`` is the platform's instant, ``real`` the machine's, both seconds.
Record = dict[str, Any]


class LogUnreadable(Exception):
    """A log that cannot be judged; its words name the file and the line."""


class Log:
    """Appends records. Used from one event loop; several requests share one fsync."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        """Opens (and makes) the file; what is there stays. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        _end_torn_line(path, self._file)
        self._fsync = fsync
        self._lines = 0
        self._safe = 0
        self._turn = asyncio.Lock()

    def append(self, record: Record) -> None:
        """Write one line; it survives this process at once, the machine after ``safe``."""
        line = memoryview((json.dumps(record, separators=(",", ":")) + "\n").encode())
        while line:
            line = line[os.write(self._file, line) :]
        self._lines += 1

    async def safe(self) -> None:
        """Wait until everything appended so far is on the disk."""
        mine = self._lines
        while self._fsync and self._safe < mine:
            async with self._turn:
                if self._safe < mine:
                    reached = self._lines
                    await asyncio.get_running_loop().run_in_executor(None, os.fsync, self._file)
                    self._safe = reached

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_log(path: Path) -> Iterator[Record]:
    """Every record, in order. A last line without its end was being written: it is left out.

    Raises LogUnreadable.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                if line == b"\n":
                    continue
                yield _record(path, number, line)
    except OSError as error:
        raise LogUnreadable(f"{path}: {error.strerror}; give the file that --log named") from None


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise LogUnreadable(f"{path}, line {number}: is not a record of a sandbox log")
    return record


def _end_torn_line(path: Path, file: int) -> None:
    """A crash may have left half a line: without its own end, the next record would be lost with it."""
    with path.open("rb+") as existing:
        content_end = existing.seek(0, os.SEEK_END)
        if content_end == 0:
            return
        existing.seek(-1, os.SEEK_END)
        if existing.read(1) == b"\n":
            return
        existing.seek(0)
        whole = existing.read().rfind(b"\n") + 1
        os.ftruncate(file, whole)
