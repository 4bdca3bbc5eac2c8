"""Local hours: the house's and the jurisdictions', in every zone the contact may be in."""

from __future__ import annotations

from policies.case import HORIZON, Case
from policies.decision import Finding
from policies.intervals import Intervals
from policies.local_time import CHUNK, DAY, local_day, offset_at, wall_clock
from policies.rules.rule import Rule, finding, standing
from policies.terms import Hours, Row, clock_time
from policies.timeline import build_timeline

NAME = "quiet_hours"

_SHOWN = 3


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which all hours that bind permit in every candidate zone."""
    if not times or not case.binding.hours:
        return times
    timeline = case.binding.timeline(case.now)
    if len(times) == 1:
        return timeline.within(*times[0])
    found: list[tuple[int, int]] = []
    for start, end in times:
        found += timeline.within(start, end)
    return tuple(found)


def _reason(case: Case) -> str:
    zones = case.binding.zones
    return "closed_day" if any(_closed_day(each, zones, case.now) for each in case.binding.hours) else NAME


def _row(hours: Hours, zone: str, instant: int) -> Row | None:
    return hours.rows[(local_day(instant, offset_at(zone, instant)) + 3) % 7]


def _closed_day(hours: Hours, zones: tuple[str, ...], instant: int) -> bool:
    # Most hours close no day, and the world has many zones.
    return () in hours.rows and any(_row(hours, zone, instant) == () for zone in zones)


def _is_open(hours: Hours, zone: str, instant: int) -> bool:
    row = _row(hours, zone, instant)
    clock = (instant + offset_at(zone, instant)) % DAY
    return row is None or any(opens <= clock < closes for opens, closes in row)


def _findings(case: Case) -> list[Finding]:
    found = [_finding(case, hours) for hours in case.binding.hours]
    return found or [standing(NAME, reason=None, words="no hours bind the message")]


def _finding(case: Case, hours: Hours) -> Finding:
    zones, now = case.binding.zones, case.now
    times = build_timeline(zones, (hours,), now // CHUNK, anywhere=case.binding.held).within(now, now + HORIZON)
    closed = [zone for zone in zones if not _is_open(hours, zone, now)]
    source = hours.source
    words = f"{hours.id} ({source.jurisdiction}, {source.basis})" if source else hours.id
    if len(zones) == 1:
        words += f": {_shown(_row(hours, zones[0], now))}, and there it is {wall_clock(zones[0], now)} ({zones[0]})"
    else:
        named = ", ".join(closed[:_SHOWN]) + (", …" if len(closed) > _SHOWN else "")
        words += f": closed now in {len(closed)} of {len(zones)} possible zones{f' ({named})' if closed else ''}"
    return finding(
        case, NAME, times, reason="closed_day" if _closed_day(hours, zones, now) else NAME, words=words,
        citation=source.citation if source else None,
        id=hours.id, zones=len(zones), zone=zones[0] if len(zones) == 1 else None, closed_zones=closed[:_SHOWN],
        jurisdiction=source.jurisdiction if source else None, basis=source.basis if source else None,
        checked=source.checked if source else None, confidence=source.confidence if source else None,
    )  # fmt: skip


def _shown(row: Row | None) -> str:
    if row is None:
        return "open all day"
    if not row:
        return "closed all day"
    return "open " + ", ".join(f"{clock_time(opens)}-{clock_time(closes)}" for opens, closes in row) + " local time"


RULE = Rule(NAME, narrow, _reason, _findings)
