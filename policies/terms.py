"""What policy documents and packs state: permitted hours, caps, gaps. Values; the rules give them their meaning."""

from __future__ import annotations

from dataclasses import dataclass

#: Half-open stretches of a local day, seconds after midnight.
Row = tuple[tuple[int, int], ...]

#: What of permitted hours decides a day: the weekdays' rows, a holiday's, the day before's, and whose holidays
#: (calendars, comma-joined; "" where none matter).
Days = tuple[tuple[Row | None, ...], Row | None, Row | None, str]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a rule that is not the house's own comes from."""

    jurisdiction: str
    citation: str
    basis: str
    #: What the rule legally covers, such as "sms".
    channels: tuple[str, ...]
    #: Whether it legally reaches messages in an app: "yes", "likely", "unclear" or "no".
    app_messages: str
    #: How the fact was checked ("primary", "secondary") and how sure it is ("high", "medium", "low").
    checked: str
    confidence: str
    urls: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Local times in which sending is permitted."""

    id: str
    #: Empty: all categories.
    applies_to: tuple[str, ...]
    #: Monday to Sunday. None: the whole day is open.
    rows: tuple[Row | None, ...]
    #: What holds on a public holiday instead. None: a holiday is a day like any other.
    holiday: Row | None = None
    #: What a day before a public holiday may have at most, beside its own row. None: it is a day like any other.
    before_holiday: Row | None = None
    #: Whose holidays: "contact" (their region's, else their country's) or an ISO code; "" where no row needs them.
    holidays: str = ""
    #: A consent that lifts these hours for whoever gave it, such as "night"; "": none does.
    lifted_by: str = ""
    source: Source | None = None

    @property
    def days(self) -> Days:
        """What decides a day, and nothing else: hours that differ only in their name or source share it."""
        if not self.holidays or (self.holiday is None and self.before_holiday is None):
            return self.rows, None, None, ""
        return self.rows, self.holiday, self.before_holiday, self.holidays


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most ``limit`` sends in a period."""

    id: str
    applies_to: tuple[str, ...]
    limit: int
    #: Seconds of a rolling period; 0 where ``calendar`` says the period.
    period: int
    #: "day" or "week" (from Monday) of the contact's own calendar; "" for a rolling period.
    calendar: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """At least so many seconds from one send to the next."""

    id: str
    applies_to: tuple[str, ...]
    between: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownZone:
    """What to do when the evidence leaves more than one zone, or none."""

    #: "all_candidates", "hold" or "fallback".
    mode: str = "all_candidates"
    #: The zone to assume in mode "fallback" when there is no zone evidence at all.
    zone: str = ""


def binds(applies_to: tuple[str, ...], category: str) -> bool:
    """Whether a rule with this ``applies_to`` binds, and counts, messages of the category."""
    return not applies_to or category in applies_to


def clock_time(seconds: int) -> str:
    """Seconds after midnight as "HH:MM"; the end of a day is "24:00"."""
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def duration(seconds: int) -> str:
    """Seconds in the largest units that say them exactly, such as "1d" or "1h30m"."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
