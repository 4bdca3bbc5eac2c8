"""Whether this machine's clock may be trusted: it is held against the database's, the one that all workers share.

A clock that is ahead opens hours early, one that is behind closes them late, and neither shows in any decision. Fail
closed: nothing is decided or sent here until the two agree again.
"""

from __future__ import annotations

import socket
import time

from scheduler import clock
from scheduler.logs import get_logger
from scheduler.outbox.skews import database_time, tell_skew
from scheduler.settings import get_settings
from scheduler.store import database

_log = get_logger(__name__)

#: Real seconds for which a look stands.
_STANDS = 5.0


class Clocks:
    """The last look of this process, and what came of it."""

    def __init__(self) -> None:
        """Nothing was looked at yet."""
        self._looked = float("-inf")
        #: Seconds by which the machine's clock is ahead, where that is too much.
        self._ahead: float | None = None

    def agree(self) -> bool:
        """Whether the machine's clock and the database's differ by no more than DULY_CLOCK_SKEW; logged if not."""
        if time.monotonic() - self._looked < _STANDS:
            return self._ahead is None
        with database.session() as session:
            database_time(session)  # to connect takes as long as it takes
            before, began = clock.machine(), time.monotonic()
            theirs = database_time(session)
            took = time.monotonic() - began
            # Theirs was read somewhere between: what the way may account for is not skew.
            ahead = before + took / 2 - theirs
            wrong = abs(ahead) - took / 2 > get_settings().clock_skew
            if wrong or self._ahead is not None or self._looked == float("-inf"):
                tell_skew(session, socket.gethostname(), ahead if wrong else None)
        if wrong:
            _log.error("clock_wrong", ahead=round(ahead, 3), allowed=get_settings().clock_skew)
        elif self._ahead is not None:
            _log.warning("clock_right_again")
        self._ahead = ahead if wrong else None
        self._looked = time.monotonic()
        return not wrong


_clocks = Clocks()


def clock_is_right() -> bool:
    """``Clocks.agree`` for this process. A virtual clock is one for all processes, whatever their machines show."""
    return clock.is_virtual() or _clocks.agree()
