"""Whether a process's clock may be trusted: it is held against the database's, the one that all processes share.

A clock that is ahead opens hours early, one that is behind closes them late, and neither shows in any decision; what
people said would be put in the wrong order. Fail closed: nothing is decided, sent or taken here until the two agree.
"""

from __future__ import annotations

import math
import socket
import threading
import time

from scheduler import clock
from scheduler.logs import complain, get_logger
from scheduler.outbox.skews import database_time, tell_skew
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.store.work import Work

_log = get_logger(__name__)

#: Real seconds for which a look stands.
_STANDS = 5.0
#: Real seconds by which the machine's clock may part from its own monotonic one before it is looked again: it was set.
_STEP = 0.2


class Clocks:
    """The last look of this process, and what came of it."""

    def __init__(
        self, name: str | None = None, *, web: bool = False, stands: float = _STANDS, work: Work | None = None
    ) -> None:
        """Nothing was looked at yet.

        ``name`` is what its clock is told by, else the host's; ``work`` says on whose connections it looks.
        """
        self._name, self._web, self._stands, self._work = name, web, stands, work
        self._turn = threading.Lock()
        #: ``time.monotonic()`` and the machine's clock when the database was asked, and what it said.
        self._looked = float("-inf")
        self._machine = 0.0
        self._theirs = 0.0
        #: Seconds by which the machine's clock is ahead, where that is too much.
        self._ahead: float | None = None
        #: Whether it was told last that this clock is wrong. One that was here before may have told it.
        self._told = True

    def agree(self) -> bool:
        """Whether the machine's clock and the database's differ by no more than DULY_CLOCK_SKEW; logged if not."""
        if not self._fresh():
            with self._turn:
                if not self._fresh():
                    self._look()
        return self._ahead is None

    def look(self) -> None:
        """Look now, however fresh the last look is."""
        with self._turn:
            self._look()

    @property
    def ahead(self) -> float | None:
        """Seconds by which the machine's clock was ahead at the last look, where that is too much; None: it is not."""
        return self._ahead

    def now(self) -> int:
        """The present instant by the database's clock, whole epoch seconds; as of the last look that ``agree`` took."""
        return math.floor(self._theirs + (time.monotonic() - self._looked))

    def _fresh(self) -> bool:
        since = time.monotonic() - self._looked
        # A clock that was set, and a machine that slept, part from the monotonic clock: the look stands no longer.
        return since < self._stands and abs(clock.machine() - self._machine - since) < _STEP

    def _look(self) -> None:
        with database.session(self._work) as session:
            database_time(session)  # to connect takes as long as it takes
            before, began = clock.machine(), time.monotonic()
            theirs = database_time(session)
            took = time.monotonic() - began
            # Theirs was read somewhere between: what the way may account for is not skew.
            ahead = before + took / 2 - theirs
            wrong = abs(ahead) - took / 2 > get_settings().clock_skew
            if wrong or self._told:
                tell_skew(session, self._name or socket.gethostname(), ahead if wrong else None, web=self._web)
        allowed = get_settings().clock_skew
        if wrong:
            complain(_log, "clock_wrong", self._name or "", ahead=round(ahead, 3), allowed=allowed)
        elif self._ahead is not None:
            _log.warning("clock_right_again")
        self._told = wrong
        self._ahead = ahead if wrong else None
        self._theirs, self._machine, self._looked = theirs, before + took / 2, began + took / 2
