"""How many messages a page may send now, over all workers: a token bucket a page in Redis, on real time.

A page never gets more than its rate in a second. Utility goes first; while both lanes want more than there is, each
keeps at least a fifth. Beside the bucket stand the page's breaker and its budget of retries. Redis only slows things
down: without it nothing is sent, and nothing is lost; flushed, buckets and budgets are empty and breakers closed.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

import redis

from workers.send_api.usage import LONGEST_WAIT

#: As in ``throttle.lua``: what any second may see on the wire, and a bucket's size.
_CEILING = 38
_ROOM = 3.0
#: Real seconds after which a token is too old for a first byte: at least for the highest rates, and at most.
_SOONEST_OLD, _LATEST_OLD = 0.1, 0.25
#: Real seconds for which the first refusal closes a page, doubling up to the last.
_FIRST_PAUSE = 2.0
_LAST_PAUSE = 300.0

_GIVE_BACK = """
local lane = ARGV[1]
for i, key in ipairs(KEYS) do
    local rate, count = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local found = redis.call('HMGET', key, 'tokens', lane)
    if found[1] then
        local tokens = math.min(math.max(1, math.min(3, rate * 0.1)), tonumber(found[1]) + count)
        local used = math.max(0, (tonumber(found[2]) or 0) - count)
        redis.call('HSET', key, 'tokens', string.format('%.9f', tokens), lane, string.format('%.6f', used))
        redis.call('HINCRBYFLOAT', key, 'retries', -0.1 * count)
    end
end
return 0
"""
# A batch brings many refusals of one cause: only the first after a reopening doubles the pause.
_CLOSE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local longest = 0
for _, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'closed', 'refusals')
    local closed, refusals = tonumber(found[1]) or 0, tonumber(found[2]) or 0
    if closed <= now or ARGV[4] ~= '' then
        if now - closed > 600 then refusals = 0 end
        local pause = math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) * 2 ^ math.min(refusals, 16))
        pause = pause / 2 + pause / 2 * tonumber(ARGV[3])
        if ARGV[4] ~= '' then pause = tonumber(ARGV[4]) end
        closed = math.max(closed, now + pause)
        redis.call('HSET', key, 'closed', string.format('%.6f', closed), 'refusals', refusals + 1, 'tokens', '0',
            'why', ARGV[5], 'at', string.format('%.6f', now))
        redis.call('PEXPIRE', key, math.floor((closed - now + 600) * 1000))
        longest = math.max(longest, closed - now)
    end
end
return string.format('%.3f', longest)
"""

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(slots=True)
class Reserved:
    """What a lane got of the pages it asked for, by page id."""

    #: Tokens; a page that got none has 0.
    granted: dict[int, int] = field(default_factory=dict)
    #: How many of them may go to messages that were tried before.
    retries: dict[int, int] = field(default_factory=dict)
    #: Real seconds for which a page gets nothing in any case: closed, or its breaker open.
    shut: dict[int, float] = field(default_factory=dict)
    #: Pages whose one message is a probe: it must be reported, or released.
    probing: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """What stands beside a page in Redis, for people and metrics."""

    breaker: BreakerState
    #: Real seconds until the breaker lets a message through again, and until a throttled page reopens.
    opens_in: float
    closed_for: float
    #: Of the bucket when it was last asked, and of the retries' budget; None where nobody asked lately.
    tokens: float | None
    retries: float | None


def fresh_for(rate: int) -> float:
    """Real seconds for which a token of a page with that rate may be used: later ones would add to another second's.

    What a full bucket and so much more than a second of refilling let out is the ceiling.
    """
    return max(_SOONEST_OLD, min(_LATEST_OLD, (_CEILING - min(_ROOM, rate * 0.1)) / (rate * 0.9) - 1))


def burst(rate: int) -> float:
    """Tokens of a bucket that is full: what a page with that rate gets at once at most."""
    return max(1.0, min(_ROOM, rate * 0.1))


class Throttle:
    """The pages' buckets, budgets and breakers. Every call may raise ``redis.RedisError``: then nothing may be sent."""

    def __init__(self, client: redis.Redis) -> None:
        """Keep them on the server that ``client`` talks to."""
        self._redis = client
        scripts = files("workers.send_api")
        self._reserve = client.register_script(scripts.joinpath("throttle.lua").read_text())
        self._report = client.register_script(scripts.joinpath("breaker.lua").read_text())
        self._give_back = client.register_script(_GIVE_BACK)
        self._close = client.register_script(_CLOSE)

    def reserve(self, lane: str, wants: Mapping[int, tuple[int, int]]) -> Reserved:
        """Take tokens for several pages at once: page id → (rate a second, how many).

        Wanting 0 says that the lane has nothing to send, so that the other gets all there is.
        """
        reserved = Reserved()
        if not wants:
            return reserved
        keys = [*map(_key, wants), *map(_breaker, wants)]
        told = self._reserve(keys=keys, args=_arguments(lane, wants))
        for place, page_id in enumerate(wants):
            granted, retries, shut, probing = (int(number) for number in told[4 * place : 4 * place + 4])
            reserved.granted[page_id], reserved.retries[page_id] = granted, retries
            if shut:
                reserved.shut[page_id] = shut / 1000
            if probing:
                reserved.probing.add(page_id)
        return reserved

    def give_back(self, lane: str, unused: Mapping[int, tuple[int, int]]) -> None:
        """Return tokens that were not used: page id → (rate a second, how many)."""
        if unused:
            self._give_back(keys=[_key(page_id) for page_id in unused], args=_arguments(lane, unused))

    def renew(self, lane: str, page_id: int, rate: int) -> bool:
        """Whether a message whose token grew too old may leave this instant all the same: it takes another one."""
        return self.reserve(lane, {page_id: (rate, 1)}).granted[page_id] == 1

    def spend_retries(self, counts: Mapping[int, int]) -> None:
        """So many messages that were tried before are begun: page id → how many. Debts are paid before others may."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for page_id, count in counts.items():
                pipeline.hincrbyfloat(_key(page_id), "retries", -count)
            pipeline.execute()

    def report(self, outcomes: Mapping[int, str]) -> dict[int, float]:
        """Tell the breakers what became of messages: page id → a letter each.

        ``a`` the platform answered, ``f`` it failed, ``n`` neither; a capital is the probe's.

        Returns what changed: real seconds for which a page's breaker opened just now; 0 where it closed again.
        """
        if not outcomes:
            return {}
        told = self._report(
            keys=[_breaker(page_id) for page_id in outcomes], args=[random.random(), *outcomes.values()]
        )
        return {page_id: max(0, int(news)) / 1000 for page_id, news in zip(outcomes, told, strict=True) if int(news)}

    def try_one(self, page_id: int) -> None:
        """Let one message through before any other, as after an outage: the page was stopped until now."""
        self._redis.hset(_breaker(page_id), mapping={"open": "0", "times": "0", "failed": "0", "recent": ""})
        self._redis.pexpire(_breaker(page_id), 3_600_000)

    def close(
        self, page_id: int, seconds: float | None = None, *, others: Collection[int] = (), why: str = ""
    ) -> float:
        """Send nothing for the page (and ``others``) for ``seconds``, or, where nobody said, for pauses that double.

        ``why``: its reason, for people. Equal jitter, so that workers do not come back in step.
        Returns how long, real seconds; 0 when it was closed.
        """
        told = "" if seconds is None else str(min(seconds, LONGEST_WAIT))
        keys = [_key(page) for page in {page_id, *others}]
        return float(self._close(keys=keys, args=[_FIRST_PAUSE, _LAST_PAUSE, random.random(), told, why]))

    def reopen(self, page_id: int) -> None:
        """A message got through: the next pause is a short one again."""
        self._redis.hdel(_key(page_id), "refusals")

    def state(self, pages: Collection[int]) -> dict[int, PageState]:
        """What stands beside each page now. One round trip; takes no token."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for page_id in pages:
                pipeline.hmget(_breaker(page_id), "open")
                pipeline.hmget(_key(page_id), "closed", "tokens", "retries")
            told = pipeline.execute()
        now = told[0][0] + told[0][1] / 1e6
        return {
            page_id: _state(now, _number(told[1 + 2 * place][0]), *map(_number, told[2 + 2 * place]))
            for place, page_id in enumerate(pages)
        }

    def disconnect(self) -> None:
        """Close the connections to the server."""
        self._redis.close()


def _state(
    now: float, opens: float | None, closed: float | None, tokens: float | None, retries: float | None
) -> PageState:
    breaker: BreakerState = "closed" if opens is None else "open" if opens > now else "half_open"
    return PageState(
        breaker=breaker,
        opens_in=max(0.0, (opens or 0.0) - now),
        closed_for=max(0.0, (closed or 0.0) - now),
        tokens=tokens,
        retries=retries,
    )


def _number(told: Any) -> float | None:
    return None if told is None else float(told)


def _arguments(lane: str, pages: Mapping[int, tuple[int, int]]) -> list[str | int]:
    return [lane, *(number for rate_and_count in pages.values() for number in rate_and_count)]


def _key(page_id: int) -> str:
    return f"duly:rate:{page_id}"


def _breaker(page_id: int) -> str:
    return f"duly:breaker:{page_id}"
