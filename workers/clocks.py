"""Whether this worker's clock may be trusted: see ``scheduler/outbox/clocks.py``. Where it is wrong nothing is sent."""

from __future__ import annotations

from scheduler import clock
from scheduler.outbox.clocks import Clocks

_clocks = Clocks()


def clock_is_right() -> bool:
    """``Clocks.agree`` for this process. A virtual clock is one for all processes, whatever their machines show."""
    return clock.is_virtual() or _clocks.agree()
