"""Rate tokens on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import redis

from tests.patience import wait_until
from workers.send_api.throttle import Throttle, fresh_for


@pytest.fixture
def throttle(redis_url: str) -> Iterator[Throttle]:
    made = Throttle(redis.Redis.from_url(redis_url))
    yield made
    made.disconnect()


@dataclass(frozen=True)
class _Taken:
    """What one question brought: the tokens are of an instant between the two."""

    lane: str
    asked: float
    answered: float
    tokens: int


def _take(throttle: Throttle, wants: dict[str, int], *, rate: int, until: int) -> list[_Taken]:
    """Ask for tokens of page 1 again and again, for one lane after the other, until there were so many."""
    taken: list[_Taken] = []

    def enough() -> bool:
        for lane, want in wants.items():
            asked = time.monotonic()
            tokens = throttle.reserve(lane, {1: (rate, want)}).granted[1]
            taken.append(_Taken(lane, asked, time.monotonic(), tokens))
        return sum(each.tokens for each in taken) >= until

    assert wait_until(enough, seconds=15, every=0.0)
    return taken


def _of(taken: list[_Taken], lane: str) -> int:
    return sum(each.tokens for each in taken if each.lane == lane)


def _might_have(taken: list[_Taken], *, refill: float, room: float) -> float:
    """What came in between the questions: more than the bucket has room for is lost, however late one asks."""
    return sum(min((late.answered - early.answered) * refill, room) for early, late in pairwise(taken))


def test_a_bucket_that_is_not_there_is_empty(throttle: Throttle) -> None:
    assert throttle.reserve("utility", {1: (30, 10), 2: (30, 10)}).granted == {1: 0, 2: 0}


def test_no_second_sees_more_than_the_rate_and_little_is_wasted(throttle: Throttle) -> None:
    rate = 30
    taken = _take(throttle, {"promotional": 10}, rate=rate, until=70)
    for index, first in enumerate(taken):
        # Only those of which it is certain that they fell into one second.
        assert sum(each.tokens for each in taken[index:] if each.answered < first.asked + 0.999) <= rate
    assert _of(taken, "promotional") > 0.9 * _might_have(taken, refill=0.9 * rate, room=3.0)


@pytest.mark.parametrize("rate", range(1, 40))
def test_tokens_used_as_late_as_may_be_stay_below_the_ceiling(rate: int) -> None:
    room = max(1.0, min(3.0, rate * 0.1))
    refill = min(rate * 0.9, max(rate - room, 0.9), 35 / 1.1)
    assert room + refill * (1 + fresh_for(rate)) <= 38.01
    assert 0.1 <= fresh_for(rate) <= 0.25


def test_several_pages_are_asked_for_at_once_and_do_not_share(throttle: Throttle) -> None:
    throttle.reserve("utility", {1: (30, 1), 2: (10, 1)})
    granted: dict[int, int] = {1: 0, 2: 0}

    def both() -> bool:
        wants = {1: (30, 2 - granted[1]), 2: (10, 1 - granted[2])}
        for page, count in throttle.reserve("utility", wants).granted.items():
            granted[page] += count
        return granted == {1: 2, 2: 1}

    assert wait_until(both, seconds=5)


@pytest.mark.parametrize("rate", [10, 39])
def test_while_both_want_more_utility_goes_first_and_promotions_keep_a_fifth(throttle: Throttle, rate: int) -> None:
    taken = _take(throttle, {"promotional": 10, "utility": 10}, rate=rate, until=3 * rate)
    utility, promotional = _of(taken, "utility"), _of(taken, "promotional")
    assert utility > promotional
    assert 0.15 < promotional / (utility + promotional) < 0.35


def test_a_lane_alone_gets_the_whole_rate(throttle: Throttle) -> None:
    taken = _take(throttle, {"utility": 10}, rate=30, until=45)
    assert _of(taken, "utility") > 0.9 * _might_have(taken, refill=27.0, room=3.0)


def test_what_was_not_used_comes_back(throttle: Throttle) -> None:
    def token() -> int:
        return throttle.reserve("utility", {1: (1, 1)}).granted[1]

    def came_back() -> bool:
        """A token is taken, given back and there again, within less time than the next one takes to come."""
        if not token():
            return False
        taken = time.monotonic()
        assert wait_until(lambda: token() == 0, seconds=5, every=0.0)
        throttle.give_back("utility", {1: (1, 1)})
        return token() == 1 and time.monotonic() - taken < 0.9

    token()
    assert wait_until(came_back, seconds=15)


def test_a_closed_page_gets_nothing_until_it_reopens(throttle: Throttle) -> None:
    started = time.monotonic()
    assert throttle.close(1, 0.5) == pytest.approx(0.5, abs=0.01)
    assert wait_until(lambda: throttle.reserve("utility", {1: (30, 1)}).granted[1] == 1, seconds=5)
    assert time.monotonic() - started >= 0.5


def test_refusals_of_one_batch_are_one_pause_and_later_ones_double_it(throttle: Throttle, redis_url: str) -> None:
    first = throttle.close(1)
    assert 1.0 <= first <= 2.0
    with redis.Redis.from_url(redis_url) as client:
        # However long it took to come here, it is still closed.
        client.hset("duly:rate:1", "closed", str(float(client.time()[0]) + 3600))
        assert throttle.close(1) == 0
        moment = float(client.time()[0])
        client.hset("duly:rate:1", "closed", str(moment - 1))
        assert 2.0 <= throttle.close(1) <= 4.0
        throttle.reopen(1)
        client.hset("duly:rate:1", "closed", str(moment - 1))
        assert throttle.close(1) <= 2.0
