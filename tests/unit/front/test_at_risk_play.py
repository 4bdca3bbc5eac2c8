"""The queue played ahead, against a queue worked off message by message."""

from __future__ import annotations

import heapq
import random

import pytest

from scheduler.facts.at_risk import _Batch, _needed, _play


def _one_by_one(batches: list[_Batch], capacity: int) -> int:
    """How many run out where ``capacity`` messages go a step, the earliest deadline first, in one lane."""
    queue: list[int] = []
    lost = 0
    for step in range(400):
        for batch in batches:
            if batch.due == step:
                for _ in range(int(batch.count)):
                    heapq.heappush(queue, batch.over)
        while queue and queue[0] <= step:
            heapq.heappop(queue)
            lost += 1
        for _ in range(capacity):
            if queue:
                heapq.heappop(queue)
    return lost


@pytest.mark.parametrize("seed", range(30))
def test_it_loses_what_a_queue_of_single_messages_loses(seed: int) -> None:
    dice = random.Random(seed)
    batches = [
        _Batch("promotional", due, due + dice.randint(1, 60), dice.randint(1, 40))
        for due in (dice.randint(0, 100) for _ in range(30))
    ]
    capacity = dice.randint(1, 12)
    lost = sum(count for _, count in _play(batches, capacity))
    # The play is fluid: it may begin a message in what is left of a step.
    assert lost == pytest.approx(_one_by_one(batches, capacity), abs=len(batches))


def test_a_lane_keeps_a_fifth_and_the_first_goes_first() -> None:
    batches = [_Batch("utility", 0, 10, 100), _Batch("promotional", 0, 10, 100)]
    lost = {batch.lane: round(count) for batch, count in _play(batches, 10)}
    assert lost == {"utility": 20, "promotional": 80}
    alone = [_Batch("promotional", 0, 10, 100)]
    assert _play(alone, 10) == []


def test_nothing_goes_where_nothing_is_sent_and_what_has_no_end_is_never_late() -> None:
    ((batch, count),) = _play([_Batch("utility", 3, 9, 4), _Batch("utility", 0, 1 << 60, 7)], 0)
    assert (batch.over, count) == (9, 4)


def test_the_rate_that_would_do() -> None:
    batches = [_Batch("promotional", 0, 10, 100), _Batch("promotional", 5, 20, 50)]
    needed = _needed(batches, 4.0, 1)
    assert needed == pytest.approx(10, rel=0.02)
    assert _needed([_Batch("utility", 5, 5, 10)], 1.0, 1) is None
