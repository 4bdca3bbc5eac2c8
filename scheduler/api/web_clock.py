"""The time in this web process: the database's, whatever the machine shows.

Two web processes whose clocks differ would put what people said in the wrong order. So instants of requests are the
database's, as of a look a few seconds ago; and a process whose clock is wrong by more than DULY_CLOCK_SKEW takes
nothing, for somebody has to look at its machine.
"""

from __future__ import annotations

import os

from sqlalchemy.exc import SQLAlchemyError

from scheduler import clock
from scheduler.api.process_name import process_name
from scheduler.errors import ClockWrong, DulyError
from scheduler.outbox.clocks import Clocks
from scheduler.settings import get_settings

#: Real seconds for which a look stands. The heartbeat takes one every five.
_STANDS = 12.0

#: Process id → its looks: a forked child takes its own.
_of_process: dict[int, Clocks] = {}


def clocks() -> Clocks:
    """The looks of this process."""
    known = _of_process.get(os.getpid())
    if known is None:
        known = _of_process.setdefault(os.getpid(), Clocks(process_name(), web=True, stands=_STANDS, work="webhook"))
    return known


def present() -> int:
    """The present instant, epoch seconds, for a request. Raises Unavailable where the database cannot be asked."""
    if clock.is_virtual():
        return clock.now()
    known = clocks()
    known.agree()
    return known.now()


def at_best() -> int:
    """``present``, and this machine's time where the database cannot be asked: for whoever only looks."""
    try:
        return present()
    except (DulyError, SQLAlchemyError):
        return clock.now()


def look() -> None:
    """Look now, so that no request has to."""
    if not clock.is_virtual():
        clocks().look()


def heeded() -> int:
    """``present``, for whoever writes down what somebody said. Raises ClockWrong where this process takes nothing."""
    now = present()
    words = wrong()
    if words is not None:
        raise ClockWrong(
            words, way_out="set the clock of its machine by NTP; send it again, another process may take it"
        )
    return now


def wrong() -> str | None:
    """What is wrong with the clock of this process, as it was seen last; None: nothing."""
    ahead = None if clock.is_virtual() else clocks().ahead
    if ahead is None:
        return None
    side = "ahead of" if ahead > 0 else "behind"
    allowed = get_settings().clock_skew
    return f"the clock of {process_name()} is {abs(ahead):.1f} s {side} the database's, {allowed:g} s are allowed"
