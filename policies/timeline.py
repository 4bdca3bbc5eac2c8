"""Permitted hours over a stretch of time: worked out once for each (zone, chunk, rule), then only looked up.

An instant is permitted when its own wall clock lies in a row of its own local date. Inside a piece of constant offset
that is plain arithmetic on UTC, so both passes of a fold are judged by what the clock shows, and an edge that falls
into a gap takes effect at the change of clocks.
"""

from __future__ import annotations

from bisect import bisect_right

from policies.intervals import NEVER, Interval, Intervals, intersect, union
from policies.local_time import CHUNK, DAY, MARGIN, Pieces, pieces
from policies.terms import Hours, Row

_MEMORY = 20_000

Rows = tuple[Row | None, ...]

_zone_times: dict[tuple[Pieces, Rows, int], Intervals] = {}


class Timeline:
    """The instants at which all the given hours permit, from the start of a chunk to a margin after its end."""

    __slots__ = ("_ends", "impossible", "intervals")

    def __init__(self, intervals: Intervals) -> None:
        self.intervals = intervals
        self._ends = [end for _, end in intervals]
        #: What ``unknown_zone`` found out last about this timeline: (question, answer).
        self.impossible: tuple[tuple[int, int, int], bool] | None = None

    def opens(self, start: int, end: int, remaining: int) -> bool:
        """Whether [start, end) holds a permitted instant and the ``remaining`` seconds after it."""
        intervals = self.intervals
        for place in range(bisect_right(self._ends, start), len(intervals)):
            opened, closed = intervals[place]
            if opened >= end:
                break
            if min(closed, end) - max(opened, start) > remaining:
                return True
        return False

    def within(self, start: int, end: int) -> Intervals:
        """The permitted instants in [start, end)."""
        intervals = self.intervals
        first = last = bisect_right(self._ends, start)
        count = len(intervals)
        while last < count and intervals[last][0] < end:
            last += 1
        if first == last:
            return NEVER
        found = intervals[first:last]
        if start <= found[0][0] and found[-1][1] <= end:
            return found
        if len(found) == 1:
            return ((max(found[0][0], start), min(found[0][1], end)),)
        return ((max(found[0][0], start), found[0][1]), *found[1:-1], (found[-1][0], min(found[-1][1], end)))


def build_timeline(zones: tuple[str, ...], hours: tuple[Hours, ...], chunk: int, *, anywhere: bool = False) -> Timeline:
    """The times at which all ``hours`` permit in every one of the zones (``anywhere``: in at least one of them)."""
    start, end = chunk * CHUNK, (chunk + 1) * CHUNK + MARGIN
    # Zones whose clocks agree for the time being are one: the whole world is some sixty of them.
    clocks = {pieces(name, chunk): None for name in zones}
    rows = {each.rows: None for each in hours}
    together: Intervals = NEVER if anywhere else ((start, end),)
    for clock in clocks:
        alone: Intervals = ((start, end),)
        for each in rows:
            alone = intersect(alone, _times(clock, each, chunk))
        together = union((*together, *alone)) if anywhere else intersect(together, alone)
    return Timeline(together)


def local_times(clock: Pieces, rows: Rows, start: int, end: int) -> Intervals:
    """The instants in [start, end) whose wall clock lies in the row of its own local date."""
    found: list[Interval] = []
    for begun, ended, offset in clock:
        begun, ended = max(begun, start), min(ended, end)
        if begun >= ended:
            continue
        for day in range((begun + offset) // DAY, (ended + offset - 1) // DAY + 1):
            row = rows[(day + 3) % 7]
            midnight = day * DAY - offset
            for opens, closes in ((0, DAY),) if row is None else row:
                found.append((max(begun, midnight + opens), min(ended, midnight + closes)))
    return union(found)


def _times(clock: Pieces, rows: Rows, chunk: int) -> Intervals:
    key = (clock, rows, chunk)
    found = _zone_times.get(key)
    if found is None:
        if len(_zone_times) >= _MEMORY:
            _zone_times.clear()
        found = _zone_times[key] = local_times(clock, rows, chunk * CHUNK, (chunk + 1) * CHUNK + MARGIN)
    return found
