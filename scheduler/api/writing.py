"""Whether what comes in could be written down, for whoever asks whether this process is ready."""

from __future__ import annotations

import threading
import time

from sqlmodel import Session

from scheduler.logs import complain, get_logger
from scheduler.settings import get_settings
from scheduler.store.disk import database_cannot_write, folder_cannot_write

_log = get_logger(__name__)

#: Real seconds for which a look stands: nobody makes a disk work by asking often.
_STANDS = 5.0


class Writing:
    """The last look at the disks, and what came of it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._looked = float("-inf")
        self._wrong: list[str] = []

    def wrong(self, session: Session) -> list[str]:
        """What cannot be written, in words that name the disk; empty: all can."""
        with self._turn:
            if time.monotonic() - self._looked >= _STANDS:
                self._wrong = _look(session)
                self._looked = time.monotonic()
            return self._wrong


def _look(session: Session) -> list[str]:
    wrong = []
    if (why := database_cannot_write(session)) is not None:
        complain(_log, "database_cannot_write", "database", why=why)
        wrong.append(f"the disk of the database cannot be written ({why}): no webhook is taken")
    folder = get_settings().data_dir
    if (why := folder_cannot_write(folder)) is not None:
        complain(_log, "folder_cannot_write", "folder", why=why)
        wrong.append(f"the disk of DULY_DATA_DIR ({folder}) cannot be written ({why}): nothing is sent")
    return wrong
