"""Breakers and budgets of retries beside the rate tokens, on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.patience import wait_until
from workers.send_api.throttle import Throttle

RATE = 30


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def throttle(redis_url: str) -> Iterator[Throttle]:
    made = Throttle(redis.Redis.from_url(redis_url))
    yield made
    made.disconnect()


def _full(throttle: Throttle, page: int = 1) -> None:
    """Wait until the page's bucket is full: asking for nothing refills it."""
    throttle.reserve("utility", {page: (RATE, 0)})

    def filled() -> bool:
        throttle.reserve("utility", {page: (RATE, 0)})
        return (throttle.state([page])[page].tokens or 0) >= 2.9

    assert wait_until(filled, seconds=5)


def _open_until_now(client: redis.Redis, page: int = 1) -> None:
    """Let the pause of an open breaker be over."""
    client.hset(f"duly:breaker:{page}", "open", "1")


def test_five_failures_in_a_row_open_it_and_an_answer_between_them_does_not(throttle: Throttle) -> None:
    assert throttle.report({1: "ffff"}) == {}
    assert throttle.report({1: "a"}) == {}
    assert throttle.report({1: "ffff"}) == {}
    opened = throttle.report({1: "f", 2: "a"})
    assert 1.0 <= opened[1] <= 2.0
    assert opened.keys() == {1}
    assert throttle.state([1, 2])[1].breaker == "open"
    assert throttle.state([1, 2])[2].breaker == "closed"


def test_more_than_half_of_the_last_twenty_open_it(throttle: Throttle) -> None:
    assert throttle.report({1: "fa" * 10}) == {}
    assert throttle.report({1: "fa" * 10 + "f"}).keys() == set()
    assert throttle.report({1: "f"}).keys() == {1}


def test_what_was_nobodys_fault_does_not_count(throttle: Throttle) -> None:
    assert throttle.report({1: "n" * 40}) == {}
    assert throttle.state([1])[1].breaker == "closed"


def test_an_open_page_gets_nothing_and_says_for_how_long(throttle: Throttle) -> None:
    _full(throttle)
    throttle.report({1: "fffff"})
    reserved = throttle.reserve("utility", {1: (RATE, 5)})
    assert reserved.granted == {1: 0}
    assert 0 < reserved.shut[1] <= 2.0


def test_half_open_lets_one_message_through_and_its_answer_decides(throttle: Throttle, client: redis.Redis) -> None:
    _full(throttle)
    throttle.report({1: "fffff"})
    _open_until_now(client)
    assert throttle.state([1])[1].breaker == "half_open"
    first = throttle.reserve("utility", {1: (RATE, 5)})
    assert (first.granted, first.probing) == ({1: 1}, {1})
    # Nobody else, in neither lane, before it is known.
    for lane in ("utility", "promotional"):
        other = throttle.reserve(lane, {1: (RATE, 5)})
        assert (other.granted, other.probing) == ({1: 0}, set())
        assert other.shut[1] > 0
    # What was on its way when it opened says nothing.
    assert throttle.report({1: "aaffffff"}) == {}
    assert throttle.report({1: "A"}) == {1: 0.0}
    assert throttle.state([1])[1].breaker == "closed"
    assert wait_until(lambda: throttle.reserve("utility", {1: (RATE, 5)}).granted[1] > 1, seconds=5)


def test_a_probe_that_fails_opens_it_for_longer(throttle: Throttle, client: redis.Redis) -> None:
    throttle.report({1: "fffff"})
    for longest in (4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        _open_until_now(client)
        _full(throttle)
        assert throttle.reserve("utility", {1: (RATE, 1)}).probing == {1}
        assert longest / 2 <= throttle.report({1: "F"})[1] <= longest


def test_a_probe_that_was_not_sent_lets_the_next_one_through(throttle: Throttle, client: redis.Redis) -> None:
    throttle.report({1: "fffff"})
    _open_until_now(client)
    _full(throttle)
    assert throttle.reserve("utility", {1: (RATE, 1)}).probing == {1}
    assert throttle.report({1: "N"}) == {}
    assert throttle.reserve("utility", {1: (RATE, 1)}).probing == {1}


def test_after_a_stop_one_message_goes_first(throttle: Throttle) -> None:
    _full(throttle)
    throttle.try_one(1)
    assert throttle.state([1])[1].breaker == "half_open"
    assert throttle.reserve("utility", {1: (RATE, 5)}).granted == {1: 1}


def test_flushed_the_breaker_is_closed_and_bucket_and_budget_are_empty(throttle: Throttle, client: redis.Redis) -> None:
    _full(throttle)
    throttle.report({1: "fffff"})
    client.flushall()
    state = throttle.state([1])[1]
    assert (state.breaker, state.tokens, state.retries, state.closed_for) == ("closed", None, None, 0.0)
    reserved = throttle.reserve("utility", {1: (RATE, 5)})
    assert (reserved.granted, reserved.retries) == ({1: 0}, {1: 0})


def test_first_tries_earn_a_tenth_and_what_is_unused_is_forgotten(throttle: Throttle, client: redis.Redis) -> None:
    _full(throttle)
    client.hset("duly:rate:1", "retries", "0")
    sent = 0
    while sent < 40:
        sent += throttle.reserve("utility", {1: (RATE, 10)}).granted[1]
    earned = throttle.reserve("utility", {1: (RATE, 0)}).retries[1]
    assert 3 <= earned <= 5
    throttle.spend_retries({1: earned + 3})
    # A debt: two workers that asked at once pay for it together.
    assert throttle.reserve("utility", {1: (RATE, 0)}).retries == {1: 0}
    assert (throttle.state([1])[1].retries or 0) < -2
    client.hset("duly:rate:1", mapping={"retries": "100", "at": str(float(client.time()[0]) - 120)})
    assert throttle.reserve("utility", {1: (RATE, 0)}).retries[1] < 20


def test_a_page_whose_tries_all_failed_may_still_retry_now_and_then(throttle: Throttle, client: redis.Redis) -> None:
    client.hset("duly:rate:1", mapping={"retries": "0", "at": str(float(client.time()[0]) - 6)})
    assert throttle.reserve("utility", {1: (RATE, 0)}).retries == {1: 1}


def test_tokens_that_came_back_unused_earned_nothing(throttle: Throttle, client: redis.Redis) -> None:
    _full(throttle)
    client.hset("duly:rate:1", "retries", "0")
    got = throttle.reserve("utility", {1: (RATE, 3)}).granted[1]
    throttle.give_back("utility", {1: (RATE, got)})
    assert throttle.state([1])[1].retries == pytest.approx(0, abs=0.05)


def test_a_limit_of_the_app_closes_all_its_pages(throttle: Throttle) -> None:
    assert throttle.close(1, 60.0, others=[2, 3]) == pytest.approx(60, abs=0.1)
    states = throttle.state([1, 2, 3, 4])
    assert [states[page].closed_for > 50 for page in (1, 2, 3, 4)] == [True, True, True, False]
    assert throttle.reserve("utility", {3: (RATE, 1)}).shut[3] > 50
