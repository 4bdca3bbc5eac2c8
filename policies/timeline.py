"""Permitted hours over a stretch of time: worked out once for each (zone, chunk, days), then only looked up.

An instant is permitted when its own wall clock lies in a row of its own local date. Inside a piece of constant offset
that is plain arithmetic on UTC, so both passes of a fold are judged by what the clock shows, and an edge that falls
into a gap takes effect at the change of clocks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache

from policies.calendars import days_off, holiday_on
from policies.intervals import NEVER, Interval, Intervals, intersect, union
from policies.local_time import CHUNK, DAY, MARGIN, Pieces, pieces
from policies.terms import Days, Hours, Row

_MEMORY = 20_000

#: The first instant, the end of its interval, the end of the last interval.
Opening = tuple[int, int, int]

_zone_times: dict[tuple[Pieces, Days, int], Intervals] = {}


class Timeline:
    """The instants at which all the given hours permit, from the start of a chunk to a margin after its end."""

    __slots__ = ("ends", "impossible", "intervals")

    def __init__(self, intervals: Intervals) -> None:
        self.intervals = intervals
        #: Their ends, to search in.
        self.ends = [end for _, end in intervals]
        #: What ``unknown_zone`` found out last about this timeline: (question, answer).
        self.impossible: tuple[tuple[int, int, int], bool] | None = None

    def opens(self, start: int, end: int, remaining: int) -> bool:
        """Whether [start, end) holds a permitted instant and the ``remaining`` seconds after it."""
        intervals = self.intervals
        for place in range(bisect_right(self.ends, start), len(intervals)):
            opened, closed = intervals[place]
            if opened >= end:
                break
            # Spelt out: this is asked for most of those who may not be written to.
            if opened < start:
                opened = start
            if closed > end:
                closed = end
            if closed - opened > remaining:
                return True
        return False

    def first(self, begin: int, end: int, remaining: int) -> Opening | None:
        """The first usable instant in [begin, end), the end of its interval, the end of the last usable interval.

        None: there is none. Usable is what holds an instant and the ``remaining`` seconds after it.
        """
        intervals, ends = self.intervals, self.ends
        place, count = bisect_right(ends, begin), len(ends)
        # Spelt out, as ``opens`` is: nearly always the first interval has room, and the next begins too late.
        while place < count:
            opened, closed = intervals[place]
            if opened < begin:
                opened = begin
            if closed >= end:
                return (opened, end, end) if end - opened > remaining else None
            if closed - opened > remaining:
                break
            place += 1
        else:
            return None
        if place + 1 == count or end - intervals[place + 1][0] <= remaining:
            return opened, closed, closed
        for later in range(min(bisect_left(ends, end, place), count - 1), place, -1):
            last = min(ends[later], end)
            if last - intervals[later][0] > remaining:
                return opened, closed, last
        return opened, closed, closed

    def covers(self, start: int, end: int) -> bool:
        """Whether the hours permit throughout [start, end)."""
        place = bisect_right(self.ends, start)
        return place < len(self.ends) and self.intervals[place][0] <= start and end <= self.ends[place]

    def within(self, start: int, end: int) -> Intervals:
        """The permitted instants in [start, end)."""
        intervals = self.intervals
        first = last = bisect_right(self.ends, start)
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
    days = {each.days: None for each in hours}
    together: Intervals = NEVER if anywhere else ((start, end),)
    for clock in clocks:
        alone: Intervals = ((start, end),)
        for each in days:
            alone = intersect(alone, _times(clock, each, chunk))
        together = union((*together, *alone)) if anywhere else intersect(together, alone)
    return Timeline(together)


def local_times(clock: Pieces, days: Days, start: int, end: int) -> Intervals:
    """The instants in [start, end) whose wall clock lies in the row that is in force on its own local date."""
    found: list[Interval] = []
    calendars = days[3]
    for begun, ended, offset in clock:
        begun, ended = max(begun, start), min(ended, end)
        if begun >= ended:
            continue
        first, last = (begun + offset) // DAY, (ended + offset - 1) // DAY
        # The day after the last as well: the last may be the day before a holiday.
        off = days_off(calendars, first, last + 1) if calendars else frozenset()
        for day in range(first, last + 1):
            row = _row(days, day, holiday=day in off, tomorrow=day + 1 in off)
            midnight = day * DAY - offset
            for opens, closes in ((0, DAY),) if row is None else row:
                found.append((max(begun, midnight + opens), min(ended, midnight + closes)))
    return union(found)


def row_on(days: Days, day: int) -> Row | None:
    """The row that is in force on a local day (its number since 1970-01-01). None: the whole day is open."""
    calendars = days[3]
    if not calendars:
        return days[0][(day + 3) % 7]
    holiday, tomorrow = _holidays_around(calendars, day)
    return _row(days, day, holiday=holiday, tomorrow=tomorrow)


@lru_cache(maxsize=_MEMORY)
def _holidays_around(calendars: str, day: int) -> tuple[bool, bool]:
    return holiday_on(calendars, day) is not None, holiday_on(calendars, day + 1) is not None


def _row(days: Days, day: int, *, holiday: bool, tomorrow: bool) -> Row | None:
    rows, on_holiday, before_holiday, _ = days
    row = rows[(day + 3) % 7]
    if holiday and on_holiday is not None:
        return on_holiday
    if tomorrow and before_holiday is not None:
        return before_holiday if row is None else intersect(row, before_holiday)
    return row


def _times(clock: Pieces, days: Days, chunk: int) -> Intervals:
    key = (clock, days, chunk)
    found = _zone_times.get(key)
    if found is None:
        if len(_zone_times) >= _MEMORY:
            _zone_times.clear()
        found = _zone_times[key] = local_times(clock, days, chunk * CHUNK, (chunk + 1) * CHUNK + MARGIN)
    return found
