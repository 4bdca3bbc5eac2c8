"""How many messages a page may send now, over all workers: a token bucket a page in Redis, on real time.

A page never gets more than its rate in a second. Utility goes first; while both lanes want more than there is, each
keeps at least a fifth. Redis only slows things down: without it nothing is sent, and nothing is lost.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.resources import files

import redis

#: Real seconds for which the first refusal closes a page, doubling up to the last.
_FIRST_PAUSE = 2.0
_LAST_PAUSE = 300.0

_GIVE_BACK = """
local lane = ARGV[1]
for i, key in ipairs(KEYS) do
    local rate, count = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local found = redis.call('HMGET', key, 'tokens', lane)
    if found[1] then
        local tokens = math.min(math.max(1, rate * 0.1), tonumber(found[1]) + count)
        local used = math.max(0, (tonumber(found[2]) or 0) - count)
        redis.call('HSET', key, 'tokens', string.format('%.9f', tokens), lane, string.format('%.6f', used))
    end
end
return 0
"""
# A batch brings many refusals of one cause: only the first after a reopening doubles the pause.
_CLOSE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local found = redis.call('HMGET', KEYS[1], 'closed', 'refusals')
local closed, refusals = tonumber(found[1]) or 0, tonumber(found[2]) or 0
if closed > now and ARGV[4] == '' then return '0' end
if now - closed > 600 then refusals = 0 end
local pause = math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) * 2 ^ math.min(refusals, 16))
pause = pause / 2 + pause / 2 * tonumber(ARGV[3])
if ARGV[4] ~= '' then pause = tonumber(ARGV[4]) end
closed = math.max(closed, now + pause)
redis.call('HSET', KEYS[1], 'closed', string.format('%.6f', closed), 'refusals', refusals + 1, 'tokens', '0',
    'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.floor((closed - now + 600) * 1000))
return string.format('%.3f', closed - now)
"""


class Throttle:
    """The pages' buckets. Every call may raise ``redis.RedisError``: whoever cannot ask may not send."""

    def __init__(self, client: redis.Redis) -> None:
        """Keep the buckets on the server that ``client`` talks to."""
        self._redis = client
        self._reserve = client.register_script(files("workers.send_api").joinpath("throttle.lua").read_text())
        self._give_back = client.register_script(_GIVE_BACK)
        self._close = client.register_script(_CLOSE)

    def reserve(self, lane: str, wants: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Take tokens for several pages at once: page id → (rate a second, how many) to page id → how many it got.

        Wanting 0 says that the lane has nothing to send, so that the other gets all there is.
        """
        if not wants:
            return {}
        granted = self._reserve(keys=[_key(page_id) for page_id in wants], args=_arguments(lane, wants))
        return {page_id: int(count) for page_id, count in zip(wants, granted, strict=True)}

    def give_back(self, lane: str, unused: Mapping[int, tuple[int, int]]) -> None:
        """Return tokens that were not used: page id → (rate a second, how many)."""
        if unused:
            self._give_back(keys=[_key(page_id) for page_id in unused], args=_arguments(lane, unused))

    def close(self, page_id: int, seconds: float | None = None) -> float:
        """Send nothing for the page for a while: ``seconds`` if the platform said so, else pauses that double.

        Equal jitter, so that workers do not come back in step. Returns how long, real seconds; 0 when it was closed.
        """
        told = "" if seconds is None else str(min(seconds, 86_400.0))
        return float(self._close(keys=[_key(page_id)], args=[_FIRST_PAUSE, _LAST_PAUSE, random.random(), told]))

    def disconnect(self) -> None:
        """Close the connections to the server."""
        self._redis.close()

    def reopen(self, page_id: int) -> None:
        """A message got through: the next pause is a short one again."""
        self._redis.hdel(_key(page_id), "refusals")


def _arguments(lane: str, pages: Mapping[int, tuple[int, int]]) -> list[str | int]:
    return [lane, *(number for rate_and_count in pages.values() for number in rate_and_count)]


def _key(page_id: int) -> str:
    return f"duly:rate:{page_id}"
