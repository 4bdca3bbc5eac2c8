"""The parts that policy documents and packs share: hours, caps, durations, categories."""

from __future__ import annotations

import re
from datetime import date, datetime
from itertools import pairwise

from policies.calendars import known_calendar
from policies.countries import known_countries
from policies.facts import CATEGORIES
from policies.intervals import union
from policies.law_terms import Span
from policies.terms import WEEKDAYS, Cap, Hours, Row, Source
from policies.toml_source import Table

DAY = 86_400
#: Facts hold the sends of the last 30 days, so no period may be longer.
LONGEST = 30 * DAY

#: What an entry of ``permitted_hours`` may say of its hours, in policies and packs alike.
HOURS_KEYS = ("daily", *WEEKDAYS, "holiday", "before_holiday", "holidays")

#: Periods of one day: a quarter of an hour each.
MOST_PERIODS = 96

_WHOLE: Row = ((0, DAY),)
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in "wdhms"))
_SIZES = (7 * DAY, DAY, 3600, 60, 1)
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2})")
_SPAN = re.compile(r"([1-9][0-9]{0,2})(y|mo|d)")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


def read_id(table: Table) -> str:
    """The entry's ``id``."""
    found = table.text("id")
    if not _ID.fullmatch(found):
        raise table.error("id", f"`{found}` must be lower-case letters, digits, `-` and `_`")
    return found


def read_categories(table: Table) -> tuple[str, ...]:
    """``applies_to``, in the categories' own order; empty for all of them."""
    if not table.has("applies_to"):
        return ()
    found = table.texts("applies_to")
    if not found:
        raise table.error("applies_to", "is empty: leave it out to mean all categories")
    for name in found:
        if name not in CATEGORIES:
            raise table.error("applies_to", f"`{name}` is none of {', '.join(CATEGORIES)}")
    named = tuple(name for name in CATEGORIES if name in found)
    return () if named == CATEGORIES else named


def read_duration(table: Table, key: str, *, least: int = 1, longest: int = LONGEST, default: str | None = None) -> int:
    """Seconds, from text such as "90s", "5m", "1h30m", "24h", "7d"."""
    written = table.text(key, default)
    found = _DURATION.fullmatch(written)
    if not found or not written:
        raise table.error(key, f"`{written}` is not a duration; write it like 5m, 24h or 7d")
    seconds = sum(int(count) * size for count, size in zip(found.groups(), _SIZES, strict=True) if count)
    if not least <= seconds <= longest:
        raise table.error(key, f"`{written}` must be from {least} to {longest} seconds")
    return seconds


def read_rows(table: Table) -> tuple[Row | None, ...]:
    """``daily``, overridden by ``mon`` … ``sun``. A day with neither is open, and so is one that is open from 00:00 to
    24:00."""
    daily = _row(table, "daily") if table.has("daily") else None
    rows = (_row(table, day) if table.has(day) else daily for day in WEEKDAYS)
    return tuple(None if row == _WHOLE else row for row in rows)


def read_hours(table: Table, *, source: Source | None = None, applies_to: tuple[str, ...] | None = None) -> Hours:
    """An entry of ``permitted_hours``. A pack says ``applies_to`` for all of its entries, and may say ``lifted_by``.

    Whose holidays count says nothing without a row for them, nor a row without that: what is alone is left out.
    """
    rows = {key: _row(table, key) if table.has(key) else None for key in ("holiday", "before_holiday")}
    holidays = _calendar(table) if table.has("holidays") else ""
    if not holidays or all(row is None for row in rows.values()):
        rows, holidays = {}, ""
    return Hours(
        id=read_id(table),
        applies_to=read_categories(table) if applies_to is None else applies_to,
        rows=read_rows(table),
        holiday=rows.get("holiday"),
        before_holiday=rows.get("before_holiday"),
        holidays=holidays,
        lifted_by=table.choice("lifted_by", ("night",)) if source and table.has("lifted_by") else "",
        source=source,
    )


def read_cap(table: Table, *, source: Source | None = None, applies_to: tuple[str, ...] | None = None) -> Cap:
    """An entry of ``frequency_cap``."""
    per = table.text("per")
    calendar = per if per in ("day", "week") else ""
    return Cap(
        id=read_id(table),
        applies_to=read_categories(table) if applies_to is None else applies_to,
        limit=table.whole("limit", least=1),
        period=0 if calendar else read_duration(table, "per"),
        calendar=calendar,
        source=source,
    )


def read_day(table: Table, key: str) -> date:
    """A date, written as TOML writes one. (tomllib itself refuses dates that are none.)"""
    value = table.raw(key)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise table.error(key, f"must be a date, such as 2026-11-21, not {value!r}")
    return value


def read_span(table: Table, key: str) -> Span | None:
    """A calendar span, such as "6mo" or "2y"; None where the key is absent: without end."""
    if not table.has(key):
        return None
    written = table.text(key)
    found = _SPAN.fullmatch(written)
    if not found:
        raise table.error(key, f"`{written}` is not a span; write it like 2y, 6mo or 30d")
    count = int(found[1])
    return Span(days=count) if found[2] == "d" else Span(months=count * (12 if found[2] == "y" else 1))


def _calendar(table: Table) -> str:
    code = table.text("holidays")
    if code == "contact" or known_calendar(code):
        return code
    if code.partition("-")[0] not in known_countries():
        raise table.error(
            "holidays", f"`{code}` is not a country; write `contact`, or a code such as US, US-LA or FR-57"
        )
    raise table.error("holidays", f"`{code}` has no calendar of holidays; write `contact`, or a code such as FR-57")


def _row(table: Table, key: str) -> Row:
    value = table.raw(key)
    if not isinstance(value, list):
        raise table.error(key, 'must be a list of periods, such as [["08:00", "21:00"]]')
    if len(value) > MOST_PERIODS:
        raise table.error(key, f"has {len(value)} periods; a day has {MOST_PERIODS} at most")
    periods = []
    for period in value:
        if not isinstance(period, list) or len(period) != 2:
            raise table.error(key, f'`{period}` is not a period; write it like ["08:00", "21:00"]')
        start, end = (_clock(table, key, written) for written in period)
        if start >= end:
            raise table.error(key, f"`{period[0]}`-`{period[1]}` must end after it starts; split it at midnight")
        periods.append((start, end))
    periods.sort()
    for earlier, later in pairwise(periods):
        if later[0] < earlier[1]:
            raise table.error(key, "has periods that overlap")
    # Periods that touch are one: however it is written, it is the same policy, with the same version.
    return union(periods)


def _clock(table: Table, key: str, written: object) -> int:
    found = _CLOCK.fullmatch(written) if isinstance(written, str) else None
    if not found:
        raise table.error(key, f"`{written}` is not a time of day; write it like 08:00")
    hour, minute = int(found[1]), int(found[2])
    if minute > 59 or hour > 24 or (hour == 24 and minute):
        raise table.error(key, f"`{written}` is not a time of day; the last is 24:00")
    return hour * 3600 + minute * 60
