"""Local hours: the house's and the jurisdictions', in every zone the contact may be in."""

from __future__ import annotations

from policies.calendars import holiday_on
from policies.case import HORIZON, Case
from policies.decision import Finding
from policies.intervals import Intervals, clip, covers, intersect, union
from policies.lifting import has_lifted, lifted, open_times
from policies.local_time import CHUNK, DAY, local_day, offset_at, wall_clock
from policies.rules.rule import Rule, clause_of, finding, standing
from policies.terms import Hours, Row, clock_time
from policies.timeline import build_timeline, row_on

NAME = "quiet_hours"

_SHOWN = 3


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which all hours that bind permit in every candidate zone."""
    if not times or not case.binding.hours:
        return times
    if case.facts.consents and has_lifted(case):
        zones, anywhere = case.binding.zones, case.binding.held
        return intersect(times, open_times(case, zones, times[0][0], times[-1][1], anywhere=anywhere))
    timeline = case.binding.timeline(case.now)
    if len(times) == 1:
        return timeline.within(*times[0])
    found: list[tuple[int, int]] = []
    for start, end in times:
        found += timeline.within(start, end)
    return tuple(found)


def _reason(case: Case) -> str:
    binding, now = case.binding, case.now
    shut = binding.hours
    if case.facts.consents:
        shut = tuple(each for each in shut if not covers(lifted(case, each), now, 0))
    return "closed_day" if any(_closed_day(each, binding.zones, now) for each in shut) else NAME


def _day(zone: str, instant: int) -> int:
    return local_day(instant, offset_at(zone, instant))


def _closed_day(hours: Hours, zones: tuple[str, ...], instant: int) -> bool:
    # Most hours close no day, and the world has many zones.
    days = hours.days
    if () not in days[0] and days[1] != () and days[2] is None:
        return False
    return any(row_on(days, _day(zone, instant)) == () for zone in zones)


def _is_open(hours: Hours, zone: str, instant: int) -> bool:
    row = row_on(hours.days, _day(zone, instant))
    clock = (instant + offset_at(zone, instant)) % DAY
    return row is None or any(opens <= clock < closes for opens, closes in row)


def _findings(case: Case) -> list[Finding]:
    found = [_finding(case, hours) for hours in case.binding.hours]
    return found or [standing(NAME, reason=None, words="no hours bind the message")]


def _finding(case: Case, hours: Hours) -> Finding:
    zones, now = case.binding.zones, case.now
    times = build_timeline(zones, (hours,), now // CHUNK, anywhere=case.binding.held).within(now, now + HORIZON)
    consented = lifted(case, hours)
    closed = [zone for zone in zones if not _is_open(hours, zone, now)]
    source = hours.source
    words = f"{hours.id} ({source.jurisdiction}, {source.basis})" if source else hours.id
    if len(zones) == 1:
        row = row_on(hours.days, _day(zones[0], now))
        words += f": {_shown(row)}{_holiday(hours, zones[0], now)}, and there it is {wall_clock(zones[0], now)}"
        words += f" ({zones[0]})"
    else:
        named = ", ".join(closed[:_SHOWN]) + (", …" if len(closed) > _SHOWN else "")
        words += f": closed now in {len(closed)} of {len(zones)} possible zones{f' ({named})' if closed else ''}"
        words += _holiday(hours, closed[0] if closed else zones[0], now)
    if covers(consented, now, 0):
        words += f"; lifted by the person's consent ({hours.lifted_by})"
    if (hours.holiday is not None or hours.before_holiday is not None) and not hours.holidays:
        words += "; no calendar of holidays is known there, so no day counts as one"
    return finding(
        case, NAME, union((*times, *clip(consented, now, now + HORIZON))),
        reason="closed_day" if _closed_day(hours, zones, now) else NAME, words=words,
        citation=source.citation if source else None,
        clause=clause_of("permitted_hours", hours), binds=source.basis if source else "house",
        id=hours.id, zones=len(zones), zone=zones[0] if len(zones) == 1 else None, closed_zones=closed[:_SHOWN],
        holidays=hours.holidays or None,
        jurisdiction=source.jurisdiction if source else None, basis=source.basis if source else None,
        checked=source.checked if source else None, confidence=source.confidence if source else None,
    )  # fmt: skip


def _holiday(hours: Hours, zone: str, now: int) -> str:
    # Named only where it decides: on a holiday with a row, or the day before one.
    _, on_holiday, before_holiday, calendars = hours.days
    today = _day(zone, now)
    if on_holiday is not None and (name := holiday_on(calendars, today)):
        return f" (today is {name})"
    if before_holiday is not None and (name := holiday_on(calendars, today + 1)):
        return f" (tomorrow is {name})"
    return ""


def _shown(row: Row | None) -> str:
    if row is None:
        return "open all day"
    if not row:
        return "closed all day"
    return "open " + ", ".join(f"{clock_time(opens)}-{clock_time(closes)}" for opens, closes in row) + " local time"


RULE = Rule(NAME, narrow, _reason, _findings)
