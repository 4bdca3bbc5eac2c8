"""What stands beside a page in Redis, for people and metrics: its breaker, and how long it is throttled.

All that is written here is the end of a wait that a person orders.

The workers write it: ``duly:breaker:<page>`` (``open``: until when, Unix time of the Redis server; absent: closed) and
``duly:rate:<page>`` (``closed``: until when the platform wants nothing, ``why``). Without Redis nobody knows, and
nothing is sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import redis

from scheduler.errors import Unavailable
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
    #: The reason of the last wait; None: it never had to.
    why: str | None = None


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
                pipeline.hmget(f"duly:rate:{page_id}", "closed", "why")
            told = pipeline.execute()
    except redis.RedisError:
        return None
    now = told[0][0] + told[0][1] / 1e6
    return {page_id: _state(now, told[1 + 2 * place], *told[2 + 2 * place]) for place, page_id in enumerate(page_ids)}


def end_wait(page_id: int) -> bool:
    """Let a page that the platform made wait send again now; False when it does not wait. Raises Unavailable.

    Whoever orders it knows that the limit is over: if it is not, the next message's answer closes the page again.
    """
    url = get_settings().redis_url
    if url is None:
        raise Unavailable("Redis is not configured", way_out="set DULY_REDIS_URL")
    try:
        return bool(_client(url.get_secret_value()).eval(_END_WAIT, 1, f"duly:rate:{page_id}"))
    except redis.RedisError as error:
        raise Unavailable("Redis does not answer", way_out="start it; an empty one makes no page wait") from error


_END_WAIT = """
local time = redis.call('TIME')
local closed = tonumber(redis.call('HGET', KEYS[1], 'closed') or '0')
if closed <= tonumber(time[1]) + tonumber(time[2]) / 1000000 then return 0 end
redis.call('HSET', KEYS[1], 'closed', '0')
redis.call('HDEL', KEYS[1], 'refusals')
return 1
"""


def _state(now: float, opens: Any, closed: Any, why: Any) -> ThrottleState:
    until = None if opens is None else float(opens)
    ends = [float(end) for end in (opens, closed) if end is not None]
    return ThrottleState(
        breaker="closed" if until is None else "open" if until > now else "half_open",
        opens_in=max(0.0, (until or 0.0) - now),
        closed_for=max(0.0, float(closed or 0.0) - now),
        free_for=max(0.0, now - max(ends)) if ends else None,
        why=None if why is None else why.decode() if isinstance(why, bytes) else str(why),
    )


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    # Somebody waits for the answer.
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1)
