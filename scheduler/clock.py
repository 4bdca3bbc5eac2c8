"""The only reader of the time in the product. Never called below a front door: there ``now`` is a parameter.

``DULY_CLOCK_START``, ``DULY_CLOCK_RATE`` and ``DULY_CLOCK_ORIGIN`` give every process the same virtual clock:
now = START + (unix − ORIGIN) × RATE. Unset, the clock is the machine's.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from scheduler.settings import get_settings


def machine() -> float:
    """The machine's own clock, Unix time with its fraction, whatever the virtual one shows."""
    return time.time()  # noqa: TID251 - this is the one place that reads the clock


def now_exact() -> float:
    """The present instant, epoch seconds UTC with their fraction."""
    unix = machine()
    virtual = get_settings().virtual_clock
    if virtual is None:
        return unix
    start, rate, origin = virtual
    return start + (unix - origin) * rate


def now() -> int:
    """The present instant, whole epoch seconds UTC."""
    return math.floor(now_exact())


def now_ms() -> int:
    """The present instant, epoch milliseconds UTC, as the platform stamps its events."""
    return math.floor(now_exact() * 1000)


def aware_now() -> datetime:
    """The present instant as an aware datetime in UTC."""
    return datetime.fromtimestamp(now_exact(), UTC)


def rate() -> float:
    """How many seconds of this clock pass in one real second; 1.0 on the machine's clock."""
    virtual = get_settings().virtual_clock
    return 1.0 if virtual is None else virtual[1]


def real_seconds(seconds: float) -> int:
    """``seconds`` of real time on this clock, rounded up: for durations about machines (guard, doubt wait, backoff)."""
    return math.ceil(seconds * rate())


def guard_seconds() -> int:
    """The send guard on this clock: the ``min_remaining`` of every decision to send."""
    return real_seconds(get_settings().send_guard)
