"""Entries of policies and packs in a few words, for people who compare them."""

from __future__ import annotations

from policies.terms import WEEKDAYS, Cap, Gap, Hours, Row, clock_time, duration


def entry_words(entry: Hours | Cap | Gap | None) -> str | None:
    """What an entry says and what it applies to; None for None."""
    if entry is None:
        return None
    if isinstance(entry, Hours):
        said = hours_words(entry)
    elif isinstance(entry, Cap):
        said = cap_words(entry)
    else:
        said = duration(entry.between)
    return f"{said} ({', '.join(entry.applies_to) or 'all categories'})"


def cap_words(cap: Cap) -> str:
    """Such as "1 per 24h" or "3 per week"."""
    return f"{cap.limit} per {cap.calendar or duration(cap.period)}"


def hours_words(hours: Hours) -> str:
    """An entry's hours, such as "08:00-21:00, sun closed"."""
    common = max(set(hours.rows), key=lambda row: (hours.rows.count(row), row is not None))
    parts = [row_words(common)]
    parts += [f"{day} {row_words(row)}" for day, row in zip(WEEKDAYS, hours.rows, strict=True) if row != common]
    parts += [f"holiday {row_words(hours.holiday)}"] if hours.holiday is not None else []
    parts += [f"before a holiday {row_words(hours.before_holiday)}"] if hours.before_holiday is not None else []
    parts += [f"holidays {hours.holidays}"] if hours.holidays else []
    return ", ".join(parts)


def row_words(row: Row | None) -> str:
    """A day's hours, such as "08:00-12:00 14:00-20:00"."""
    if row is None:
        return "open"
    return " ".join(f"{clock_time(start)}-{clock_time(end)}" for start, end in row) or "closed"
