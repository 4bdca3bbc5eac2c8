"""The loop of every comparison: the processor's time for each of the same items, in turns, so that ratios count."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def microseconds(items: Sequence[_Item], judged: Callable[[_Item], object]) -> float:
    """What one item costs, in microseconds of the processor."""
    began = time.process_time()
    for item in items:
        judged(item)
    return (time.process_time() - began) / len(items) * 1e6


def in_turns(rounds: int, *ways: tuple[Sequence[_Item], Callable[[_Item], object]]) -> list[tuple[float, ...]]:
    """For each turn what each way costs: whatever else the machine does hits all of a turn."""
    return [tuple(microseconds(items, judged) for items, judged in ways) for _ in range(rounds)]
