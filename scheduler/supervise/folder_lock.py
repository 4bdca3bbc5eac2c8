"""One stack a folder: the lock that a supervisor holds while it lives, and the note that says where its parts are."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from scheduler.errors import AlreadyRunning
from scheduler.store.process import wait_until


class FolderLock:
    """An exclusive lock on a data folder. The kernel lets go of it when we die, however that happens."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is locked yet."""
        self._folder = data_dir
        self._note = data_dir / "stack.json"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises AlreadyRunning with the other's process id and addresses."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self._folder / "lock").open("a+")

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        # A reader of the note holds the lock for an instant; only a supervisor holds it longer.
        if not wait_until(taken, seconds=0.5):
            file.close()
            raise AlreadyRunning(self._other(), way_out="use that one, stop it first, or set another DULY_DATA_DIR")
        self._file = file
        self._note.unlink(missing_ok=True)  # of one that was killed

    def write_note(self, *, addresses: Mapping[str, str], environment: Mapping[str, str]) -> None:
        """Tell other commands in this folder where everything is. Only the owner may read it: it holds credentials."""
        draft = self._note.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"pid": os.getpid(), "addresses": dict(addresses), "environment": dict(environment)}, file)
        draft.replace(self._note)

    def release(self) -> None:
        """Let go of the folder."""
        if self._file is not None:
            self._note.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _other(self) -> str:
        try:
            note = json.loads(self._note.read_text())
            where = ", ".join(f"{name} {address}" for name, address in note["addresses"].items())
            return f"a stack is already running in `{self._folder}`: process {note['pid']}, {where}"
        except (OSError, ValueError, KeyError):
            return f"a stack is just starting or stopping in `{self._folder}`"
