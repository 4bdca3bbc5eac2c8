"""What stands beside a page in Redis, for people and metrics: its breaker, and how long it is throttled. Reads only.

The workers write it: ``duly:breaker:<page>`` (``open``: until when, Unix time of the Redis server; absent: closed) and
``duly:rate:<page>`` (``closed``: until when the platform wants nothing). Without Redis nobody knows, and nothing is
sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import redis

from scheduler.settings import get_settings

BreakerState = Literal["closed", "open", "half_open"]

#: In the order of what they let through.
BREAKER_STATES: tuple[BreakerState, ...] = ("closed", "half_open", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleState:
    """A page's breaker, and real seconds until it lets a message through, and until a throttled page reopens."""

    breaker: BreakerState
    opens_in: float
    closed_for: float
    #: Real seconds since the platform last had the page wait: 0 while it does, None where it did not lately.
    free_for: float | None


def throttle_states(page_ids: Collection[int]) -> dict[int, ThrottleState] | None:
    """The state of each page; None where Redis does not answer. One round trip."""
    url = get_settings().redis_url
    if url is None:
        return None
    try:
        with _client(url.get_secret_value()).pipeline(transaction=False) as pipeline:
            pipeline.time()
            for page_id in page_ids:
                pipeline.hget(f"duly:breaker:{page_id}", "open")
                pipeline.hget(f"duly:rate:{page_id}", "closed")
            told = pipeline.execute()
    except redis.RedisError:
        return None
    now = told[0][0] + told[0][1] / 1e6
    return {page_id: _state(now, told[1 + 2 * place], told[2 + 2 * place]) for place, page_id in enumerate(page_ids)}


def _state(now: float, opens: Any, closed: Any) -> ThrottleState:
    until = None if opens is None else float(opens)
    ends = [float(end) for end in (opens, closed) if end is not None]
    return ThrottleState(
        breaker="closed" if until is None else "open" if until > now else "half_open",
        opens_in=max(0.0, (until or 0.0) - now),
        closed_for=max(0.0, float(closed or 0.0) - now),
        free_for=max(0.0, now - max(ends)) if ends else None,
    )


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    # Somebody waits for the answer.
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
