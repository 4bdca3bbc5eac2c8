"""Laws of sets of instants, of timelines, and of the choice of an instant, against sets of plain numbers."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policies.intervals import NEVER, Intervals, clip, covers, intersect, subtract, union, usable
from policies.slots import Wish, slot
from policies.timeline import Timeline

fixed = settings(
    derandomize=True, database=None, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow]
)

edges = st.integers(0, 40)
sets = st.lists(st.tuples(edges, edges), max_size=6).map(union)
ALL: Intervals = ((0, 40),)


def members(intervals: Intervals) -> set[int]:
    return {instant for start, end in intervals for instant in range(start, end)}


def last_for(times: Intervals, remaining: int) -> set[int]:
    """The members that are followed by so many more."""
    found = members(times)
    return {at for at in found if all(at + more in found for more in range(remaining + 1))}


@fixed
@given(sets, sets, sets)
def test_union_and_intersection_are_those_of_sets(a: Intervals, b: Intervals, c: Intervals) -> None:
    assert union((*a, *b)) == union((*b, *a))
    assert intersect(a, b) == intersect(b, a)
    assert intersect(intersect(a, b), c) == intersect(a, intersect(b, c))
    assert intersect(a, union((*b, *c))) == union((*intersect(a, b), *intersect(a, c)))
    assert union((*a, *intersect(a, b))) == a == intersect(a, union((*a, *b)))
    assert union(a) == intersect(a, a) == a


@fixed
@given(sets, sets)
def test_what_is_subtracted_and_what_is_kept_make_the_whole(a: Intervals, b: Intervals) -> None:
    assert union((*subtract(a, b), *intersect(a, b))) == a
    assert intersect(subtract(a, b), b) == NEVER
    assert subtract(subtract(ALL, a), b) == subtract(ALL, union((*a, *b)))
    assert subtract(ALL, subtract(ALL, a)) == a


@fixed
@given(sets, edges, edges)
def test_clipping_is_meeting_one_interval(a: Intervals, start: int, end: int) -> None:
    assert clip(a, start, end) == intersect(a, union([(start, end)]))


@fixed
@given(sets, edges, edges, st.integers(0, 6))
@example(((0, 10), (20, 22)), 0, 30, 5)
@example(((0, 10), (12, 20), (28, 30)), 0, 40, 5)
def test_a_timeline_answers_as_its_set_does(a: Intervals, start: int, end: int, remaining: int) -> None:
    timeline = Timeline(a)
    if start < end:
        assert timeline.within(start, end) == clip(a, start, end)
        found = usable(clip(a, start, end), remaining)
        assert timeline.opens(start, end, remaining) == bool(found)
        assert timeline.first(start, end, remaining) == ((*found[0], found[-1][1]) if found else None)
        assert timeline.covers(start, end) == (clip(a, start, end) == ((start, end),))


@fixed
@given(sets, edges, st.integers(0, 6))
def test_usable_times_are_whole_intervals_that_last(a: Intervals, at: int, remaining: int) -> None:
    assert {instant for instant in members(usable(a, remaining)) if covers(a, instant, remaining)} == last_for(
        a, remaining
    )
    assert set(usable(a, remaining)) <= set(a)
    assert covers(a, at, remaining) == (at in last_for(a, remaining))


@fixed
@given(sets, edges, st.integers(0, 6), st.lists(st.integers(0, 3), min_size=24, max_size=24))
def test_a_slot_is_a_permitted_instant_and_the_best_of_them(
    a: Intervals, at: int, remaining: int, hours: list[int]
) -> None:
    good = last_for(a, remaining)
    earliest, latest = slot(a, Wish(), remaining=remaining), slot(a, Wish(kind="latest"), remaining=remaining)
    nearest = slot(a, Wish(kind="nearest", at=at), remaining=remaining)
    assert earliest == min(good, default=None)
    assert latest == max(good, default=None)
    assert nearest == min(good, key=lambda instant: (abs(instant - at), instant), default=None)
    # In quarters of an hour, so that the same few numbers cross hours and days.
    wide = tuple((start * 2700, end * 2700) for start, end in a)
    best = slot(wide, Wish(kind="best_hour", hours=tuple(hours)), remaining=remaining)
    counted = {instant: hours[instant // 3600 % 24] for start, end in wide for instant in range(start, end, 900)}
    fit = {instant: count for instant, count in counted.items() if covers(wide, instant, remaining)}
    assert best == min(fit, key=lambda instant: (-fit[instant], instant), default=None)
