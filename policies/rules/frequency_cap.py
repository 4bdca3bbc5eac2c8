"""So many sends in a period: rolling, or the contact's own calendar day or week.

A send at s counts in [s, s + D). In a calendar it counts from s to the end of its own local day or week; where several
zones are possible, every zone's calendar must permit (while the policy waits for the zone: any one's).
"""

from __future__ import annotations

from collections.abc import Iterable

from policies.case import Case
from policies.decision import Finding
from policies.facts import Send
from policies.intervals import NEVER, Interval, Intervals, intersect, subtract, union
from policies.local_time import CHUNK, DAY, Pieces, local_day, monday_of, pieces
from policies.rules.rule import Rule, clause_of, finding, standing
from policies.terms import Cap, binds, duration

NAME = "frequency_cap"


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which one more send stays within every cap."""
    if case.facts.sends and times:
        if case.full is None:
            # Asked for again and again for one case.
            rolling = (_closed_rolling(cap, case.facts.sends) for cap in case.binding.rolling)
            calendar = (_closed_calendar(case, cap, case.binding.zones) for cap in case.binding.calendar)
            case.full = union(closed for each in (*rolling, *calendar) for closed in each)
        times = subtract(times, case.full)
    return times


def narrow_calendar(case: Case, times: Intervals, zones: tuple[str, ...]) -> Intervals:
    """The same by the calendar caps alone, as if these zones were the candidates."""
    if case.facts.sends and times:
        for cap in case.binding.calendar:
            times = subtract(times, _closed_calendar(case, cap, zones))
    return times


def _counted(cap: Cap, sends: Iterable[Send]) -> list[int]:
    return sorted(send.at for send in sends if binds(cap.applies_to, send.category))


def _closed_rolling(cap: Cap, sends: Iterable[Send]) -> Intervals:
    counted = _counted(cap, sends)
    # Closed while the newest `limit` sends all count: from the last of them until the first drops out.
    return union(
        (counted[last], counted[last - cap.limit + 1] + cap.period) for last in range(cap.limit - 1, len(counted))
    )


def _closed_calendar(case: Case, cap: Cap, zones: tuple[str, ...]) -> Intervals:
    counted = _counted(cap, case.facts.sends)
    if len(counted) < cap.limit:
        return NEVER
    chunk = case.now // CHUNK
    closed: Intervals | None = None
    for clock in {pieces(name, chunk): None for name in zones}:
        here = union(_closed_by_clock(clock, cap, counted))
        if closed is None:
            closed = here
        else:
            closed = intersect(closed, here) if case.binding.held else union((*closed, *here))
    return closed or NEVER


def _closed_by_clock(clock: Pieces, cap: Cap, counted: list[int]) -> Iterable[Interval]:
    weekly = cap.calendar == "week"
    days = 7 if weekly else 1
    periods: dict[int, list[int]] = {}
    for at in counted:
        for start, end, offset in clock:
            if start <= at < end:
                day = local_day(at, offset)
                periods.setdefault(monday_of(day) if weekly else day, []).append(at)
    for first, sends in periods.items():
        if len(sends) >= cap.limit:
            for start, end, offset in clock:
                opens, closes = first * DAY - offset, (first + days) * DAY - offset
                yield max(start, opens, sends[cap.limit - 1]), min(end, closes)


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return "frequency_cap"


def _findings(case: Case) -> list[Finding]:
    found = []
    for cap in (*case.binding.rolling, *case.binding.calendar):
        if cap.calendar:
            closed = _closed_calendar(case, cap, case.binding.zones)
            per = f"local {cap.calendar}"
        else:
            closed = _closed_rolling(cap, case.facts.sends)
            per = f"rolling {duration(cap.period)}"
        counted = [at for at in _counted(cap, case.facts.sends) if not cap.period or case.now < at + cap.period]
        last = f", the last at {case.shown(counted[-1])}" if counted else ""
        span = "" if cap.period else " in the last 30 days"
        found.append(
            finding(
                case, NAME, subtract(case.whole, closed), reason=NAME,
                words=f"{cap.id}: at most {cap.limit} in a {per}; {len(counted)} counted{span}{last}",
                citation=cap.source.citation if cap.source else None, clause=clause_of(NAME, cap),
                binds=cap.source.basis if cap.source else "house",
                id=cap.id, limit=cap.limit, period=cap.calendar or cap.period, counted=len(counted), sends=counted,
                jurisdiction=cap.source.jurisdiction if cap.source else None,
            )
        )  # fmt: skip
    return found or [standing(NAME, reason=None, words="no cap binds the message")]


RULE = Rule(NAME, narrow, _reason, _findings)
