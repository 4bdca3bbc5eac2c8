"""Rate tokens on a real Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from tests.patience import wait_until
from workers.send_api.throttle import Throttle, fresh_for


@pytest.fixture
def throttle(redis_url: str) -> Iterator[Throttle]:
    made = Throttle(redis.Redis.from_url(redis_url))
    yield made
    made.disconnect()


def _take(throttle: Throttle, seconds: float, wants: dict[str, int], *, rate: int) -> dict[str, list[float]]:
    """When each lane got its tokens of page 1 within ``seconds`` of asking again and again."""
    got: dict[str, list[float]] = {lane: [] for lane in wants}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for lane, want in wants.items():
            got[lane] += [time.monotonic()] * throttle.reserve(lane, {1: (rate, want)}).granted[1]
    return got


def test_a_bucket_that_is_not_there_is_empty(throttle: Throttle) -> None:
    assert throttle.reserve("utility", {1: (30, 10), 2: (30, 10)}).granted == {1: 0, 2: 0}


def test_no_second_sees_more_than_the_rate_and_little_is_wasted(throttle: Throttle) -> None:
    rate = 30
    got = _take(throttle, 2.5, {"promotional": 10}, rate=rate)["promotional"]
    for index, first in enumerate(got):
        assert sum(first <= instant < first + 0.999 for instant in got[index:]) <= rate
    assert len(got) > 2.5 * rate * 0.8


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
    got = _take(throttle, 3.0, {"promotional": 10, "utility": 10}, rate=rate)
    utility, promotional = len(got["utility"]), len(got["promotional"])
    assert utility > promotional
    assert 0.15 < promotional / (utility + promotional) < 0.35


def test_a_lane_alone_gets_the_whole_rate(throttle: Throttle) -> None:
    got = _take(throttle, 1.5, {"utility": 10}, rate=30)
    assert len(got["utility"]) > 1.5 * 30 * 0.75


def test_what_was_not_used_comes_back(throttle: Throttle) -> None:
    throttle.reserve("utility", {1: (1, 1)})
    assert wait_until(lambda: throttle.reserve("utility", {1: (1, 1)}).granted[1] == 1, seconds=5)
    assert throttle.reserve("utility", {1: (1, 1)}).granted[1] == 0
    throttle.give_back("utility", {1: (1, 1)})
    assert throttle.reserve("utility", {1: (1, 1)}).granted[1] == 1


def test_a_closed_page_gets_nothing_until_it_reopens(throttle: Throttle) -> None:
    started = time.monotonic()
    assert throttle.close(1, 0.5) == pytest.approx(0.5, abs=0.01)
    assert wait_until(lambda: throttle.reserve("utility", {1: (30, 1)}).granted[1] == 1, seconds=5)
    assert time.monotonic() - started >= 0.5


def test_refusals_of_one_batch_are_one_pause_and_later_ones_double_it(throttle: Throttle, redis_url: str) -> None:
    first = throttle.close(1)
    assert 1.0 <= first <= 2.0
    assert throttle.close(1) == 0
    with redis.Redis.from_url(redis_url) as client:
        moment = float(client.time()[0])
        client.hset("duly:rate:1", "closed", str(moment - 1))
        assert 2.0 <= throttle.close(1) <= 4.0
        throttle.reopen(1)
        client.hset("duly:rate:1", "closed", str(moment - 1))
        assert throttle.close(1) <= 2.0
