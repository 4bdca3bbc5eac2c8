"""So many sends in a period: rolling, or the contact's own calendar day or week.

A send at s counts in [s, s + D). In a calendar it counts from s to the end of its own local day or week; where several
zones are possible, every zone's calendar must permit (while the policy waits for the zone: any one's).

What is planned counts like a send, and also before its time: whatever fills the cap before it would keep it from going.
"""

from __future__ import annotations

from collections.abc import Iterable

from policies.case import Case
from policies.decision import Finding
from policies.facts import Facts
from policies.intervals import NEVER, Interval, Intervals, intersect, subtract, union
from policies.local_time import CHUNK, DAY, Pieces, local_day, monday_of, pieces
from policies.rules.rule import Rule, clause_of, finding, planned_words, standing
from policies.terms import Cap, binds, duration

NAME = "frequency_cap"


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which one more send stays within every cap."""
    if (case.facts.sends or case.facts.planned) and times:
        if case.full is None:
            # Asked for again and again for one case.
            rolling = (_closed_rolling(cap, case.facts) for cap in case.binding.rolling)
            calendar = (_closed_calendar(case, cap, case.binding.zones) for cap in case.binding.calendar)
            case.full = union(closed for each in (*rolling, *calendar) for closed in each)
        times = subtract(times, case.full)
    return times


def narrow_calendar(case: Case, times: Intervals, zones: tuple[str, ...]) -> Intervals:
    """The same by the calendar caps alone, as if these zones were the candidates."""
    if (case.facts.sends or case.facts.planned) and times:
        for cap in case.binding.calendar:
            times = subtract(times, _closed_calendar(case, cap, zones))
    return times


def _counted(cap: Cap, facts: Facts) -> list[int]:
    return sorted(send.at for send in facts.sends if binds(cap.applies_to, send.category))


def _planned(cap: Cap, facts: Facts) -> list[int]:
    return sorted(each.at for each in facts.planned if binds(cap.applies_to, each.category))


def _closed_rolling(cap: Cap, facts: Facts) -> Intervals:
    return closed_rolling(cap.limit, cap.period, _counted(cap, facts), _planned(cap, facts))


def closed_rolling(limit: int, period: int, counted: list[int], planned: list[int]) -> Intervals:
    """When a rolling cap is full, given the instants of what it counts, each list in order."""
    if not planned:
        # Closed while the newest `limit` sends all count: from the last of them until the first drops out.
        return union((counted[last], counted[last - limit + 1] + period) for last in range(limit - 1, len(counted)))
    if limit == 1:
        return union((*((at, at + period) for at in counted), *((at - period + 1, at + period) for at in planned)))
    every = sorted([(at, False) for at in counted] + [(at, True) for at in planned])
    closed = []
    for last in range(limit - 1, len(every)):
        group = every[last - limit + 1 : last + 1]
        first, newest = group[0][0], group[-1][0]
        if newest - first < period:
            begins = newest - period + 1 if any(ahead for _, ahead in group) else newest
            closed.append((begins, first + period))
    return union(closed)


def _closed_calendar(case: Case, cap: Cap, zones: tuple[str, ...]) -> Intervals:
    counted, planned = _counted(cap, case.facts), _planned(cap, case.facts)
    if len(counted) + len(planned) < cap.limit:
        return NEVER
    chunk = case.now // CHUNK
    closed: Intervals | None = None
    for clock in {pieces(name, chunk): None for name in zones}:
        here = union(_closed_by_clock(clock, cap, counted, planned))
        if closed is None:
            closed = here
        else:
            closed = intersect(closed, here) if case.binding.held else union((*closed, *here))
    return closed or NEVER


def _closed_by_clock(clock: Pieces, cap: Cap, counted: list[int], planned: list[int]) -> Iterable[Interval]:
    weekly = cap.calendar == "week"
    days = 7 if weekly else 1
    periods = _by_period(clock, weekly, counted)
    ahead = _by_period(clock, weekly, planned)
    for first in {**periods, **ahead}:
        sends = periods.get(first, [])
        full = len(sends) >= cap.limit
        if full or len(sends) + len(ahead.get(first, ())) >= cap.limit:
            for start, end, offset in clock:
                opens, closes = first * DAY - offset, (first + days) * DAY - offset
                yield max(start, opens, sends[cap.limit - 1] if full else opens), min(end, closes)


def _by_period(clock: Pieces, weekly: bool, instants: list[int]) -> dict[int, list[int]]:
    """The instants by the first day of their local day or week."""
    periods: dict[int, list[int]] = {}
    for at in instants:
        for start, end, offset in clock:
            if start <= at < end:
                day = local_day(at, offset)
                periods.setdefault(monday_of(day) if weekly else day, []).append(at)
    return periods


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return "frequency_cap"


def _findings(case: Case) -> list[Finding]:
    found = []
    for cap in (*case.binding.rolling, *case.binding.calendar):
        if cap.calendar:
            closed = _closed_calendar(case, cap, case.binding.zones)
            per = f"local {cap.calendar}"
        else:
            closed = _closed_rolling(cap, case.facts)
            per = f"rolling {duration(cap.period)}"
        counted = [at for at in _counted(cap, case.facts) if not cap.period or case.now < at + cap.period]
        last = f", the last at {case.shown(counted[-1])}" if counted else ""
        span = "" if cap.period else " in the last 30 days"
        found.append(
            finding(
                case, NAME, subtract(case.whole, closed), reason=NAME,
                words=f"{cap.id}: at most {cap.limit} in a {per}; {len(counted)} counted{span}{last}"
                + planned_words(case, cap.applies_to),
                citation=cap.source.citation if cap.source else None, clause=clause_of(NAME, cap),
                binds=cap.source.basis if cap.source else "house",
                id=cap.id, limit=cap.limit, period=cap.calendar or cap.period, counted=len(counted), sends=counted,
                jurisdiction=cap.source.jurisdiction if cap.source else None,
            )
        )  # fmt: skip
    return found or [standing(NAME, reason=None, words="no cap binds the message")]


RULE = Rule(NAME, narrow, _reason, _findings)
