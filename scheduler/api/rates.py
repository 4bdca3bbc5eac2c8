"""How often a key may ask, and how often an address may try what is not right.

Counted in each web process, not in Redis: a Redis that is down neither opens the door nor closes it. Webhooks that are
signed are not counted at all.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Any

from limits import parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from scheduler.errors import TooMany

#: Counters that are kept: beyond, the oldest is forgotten. Each takes some hundred bytes.
_MOST = 20_000


class _Bounded(Storage):
    """Counters in this process's memory, a bounded number of them.

    The library's own memory starts threads and has no bound.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        #: Key → (count, when it ends by ``time.monotonic()``), in the order of their beginning.
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """None of its own."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return the count."""
        present = time.monotonic()
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= present:
            count, ends = 0, present + expiry
            self._counts.pop(key, None)
            if len(self._counts) >= _MOST:
                self._counts.popitem(last=False)
        self._counts[key] = (count + amount, ends)
        return count + amount

    def get(self, key: str) -> int:
        """The count."""
        count, ends = self._counts.get(key, (0, 0.0))
        return count if ends > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """When the count ends, by ``time.monotonic()``."""
        return self._counts.get(key, (0, time.monotonic()))[1]

    def check(self) -> bool:
        """It is there."""
        return True

    def reset(self) -> int:
        """Forget everything."""
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one."""
        self._counts.pop(key, None)


class Rates:
    """The rates of one web process. Used in its event loop alone."""

    def __init__(self, key_rate: str, failure_rate: str) -> None:
        """Rates as ``limits`` writes them: ``600/minute``."""
        self._storage = _Bounded()
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._keys, self._failures = parse(key_rate), parse(failure_rate)

    def count_key(self, name: str) -> None:
        """A request by the key of that name. Raises TooMany."""
        if not self._limiter.hit(self._keys, "key", name):
            raise self._too_many(self._keys, "key", name)

    def check_failures(self, source: str) -> None:
        """Raise TooMany where ``source`` tried too often what was not right."""
        if not self._limiter.test(self._failures, "source", source):
            raise self._too_many(self._failures, "source", source)

    def count_failure(self, source: str) -> None:
        """``source`` tried something that was not right."""
        self._limiter.hit(self._failures, "source", source)

    def _too_many(self, rate: Any, *names: str) -> TooMany:
        left = max(1, math.ceil(self._storage.get_expiry(rate.key_for(*names)) - time.monotonic()))
        what = "requests with this key" if names[0] == "key" else "wrong attempts from this address"
        return TooMany(f"too many {what}: the limit is {rate}", retry_after=left, way_out=f"try again in {left} s")
