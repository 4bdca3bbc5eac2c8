"""The only reader of the time in the product. Never called below a front door: there ``now`` is a parameter.

``DULY_CLOCK_START``, ``DULY_CLOCK_RATE`` and ``DULY_CLOCK_ORIGIN`` give every process the same virtual clock:
now = START + (unix − ORIGIN) × RATE. ``DULY_CLOCK_FILE`` names a file instead that holds the same and can stand still
(``scheduler/clock_file.py``). Unset, the clock is the machine's.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from scheduler.clock_file import clock_file
from scheduler.settings import get_settings


def machine() -> float:
    """The machine's own clock, Unix time with its fraction, whatever the virtual one shows."""
    return time.time()  # noqa: TID251 - this is the one place that reads the clock


def now_exact() -> float:
    """The present instant, epoch seconds UTC with their fraction."""
    unix = machine()
    settings = get_settings()
    if settings.clock_file is not None:
        return clock_file(settings.clock_file).read(unix)
    virtual = settings.virtual_clock
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
    settings = get_settings()
    if settings.clock_file is not None:
        return clock_file(settings.clock_file).rate
    return 1.0 if settings.virtual_clock is None else settings.virtual_clock[1]


def is_virtual() -> bool:
    """Whether it is another than the machine's."""
    settings = get_settings()
    return settings.clock_file is not None or settings.virtual_clock is not None


def real_seconds(seconds: float) -> int:
    """``seconds`` of real time on this clock, rounded up: for durations about machines (guard, doubt wait, backoff)."""
    return math.ceil(seconds * rate())


def guard_seconds() -> int:
    """The send guard on this clock: the ``min_remaining`` of every decision to send."""
    return real_seconds(get_settings().send_guard)
