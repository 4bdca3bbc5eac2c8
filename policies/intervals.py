"""Sets of instants: sorted tuples of disjoint half-open ``(start, end)`` intervals, epoch seconds UTC."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]

NEVER: Intervals = ()


def union(intervals: Iterable[Interval]) -> Intervals:
    """The instants in any of these intervals, which may come in any order, overlap, touch or be empty."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def intersect(left: Intervals, right: Intervals) -> Intervals:
    """The instants in both sets."""
    found: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start = max(left[i][0], right[j][0])
        end = min(left[i][1], right[j][1])
        if start < end:
            found.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def subtract(base: Intervals, taken: Intervals) -> Intervals:
    """The instants in ``base`` that are not in ``taken``."""
    left: list[Interval] = []
    for start, end in base:
        at = start
        for closed, opened in taken:
            if opened <= at:
                continue
            if closed >= end:
                break
            if closed > at:
                left.append((at, closed))
            at = opened
        if at < end:
            left.append((at, end))
    return tuple(left)


def clip(base: Intervals, start: int, end: int) -> Intervals:
    """The instants of ``base`` in [start, end)."""
    if not base or (start <= base[0][0] and base[-1][1] <= end):
        return base
    return tuple((max(s, start), min(e, end)) for s, e in base if max(s, start) < min(e, end))


def usable(intervals: Intervals, remaining: int) -> Intervals:
    """Those intervals that hold an instant and the ``remaining`` seconds after it."""
    for start, end in intervals:
        if end - start <= remaining:
            return tuple(each for each in intervals if each[1] - each[0] > remaining)
    return intervals


def covers(intervals: Intervals, at: int, remaining: int) -> bool:
    """Whether ``at`` is in the set and it stays in it for ``remaining`` more seconds."""
    return any(start <= at and at + remaining < end for start, end in intervals)
