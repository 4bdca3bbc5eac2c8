"""What jurisdictions ask beside hours and caps: consent, opting out, moratoria, and what changes on a known date."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from policies.terms import Source

#: The kinds of consent that a law may accept.
CONSENT_KINDS = ("express", "implied")
#: What an opt-out ceiling may be counted in.
UNITS = ("immediate", "hours", "calendar_days", "business_days", "working_days")
#: What an opt-out may cover by law: all messages of the sender, those of the same category, those of one topic.
SCOPES = ("everything", "category", "topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A calendar span, such as two years: months first, clamped to the month's end, then days. In UTC."""

    months: int = 0
    days: int = 0

    def after(self, instant: int) -> int:
        """The instant one span after ``instant``, epoch seconds UTC."""
        then = datetime.fromtimestamp(instant, UTC)
        month = then.month - 1 + self.months
        year, month = then.year + month // 12, month % 12 + 1
        day = min(then.day, calendar.monthrange(year, month)[1])
        return int((then.replace(year=year, month=month, day=day) + timedelta(days=self.days)).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentLaw:
    """Which consent a jurisdiction asks for before a promotional message, and how long it lasts."""

    #: "express" and/or "implied" (from a purchase, an inquiry, an existing relationship).
    kinds: tuple[str, ...]
    #: None: without end.
    express_lasts: Span | None
    #: How long an implied consent lasts where nobody stated its end; None: without end.
    implied_lasts: Span | None
    #: The longest that a stated end of an implied consent is believed; None: without limit.
    implied_at_most: Span | None
    source: Source

    def end_of(self, kind: str, granted_at: int, expires_at: int | None) -> int | None:
        """When a consent of this kind ends here, epoch seconds UTC; None: never. "night" lasts as "express" does."""
        if kind != "implied":
            lasts = self.express_lasts
        elif expires_at is None:
            lasts = self.implied_lasts
        else:
            lasts = self.implied_at_most
        ends = [end for end in (expires_at, lasts.after(granted_at) if lasts else None) if end is not None]
        return min(ends, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutLaw:
    """How soon and how far an opt-out must be honoured. A ceiling: Duly stops at once and for good."""

    #: In ``unit``; 0: without delay.
    honour_within: int
    unit: str
    #: Words that the law or its regulator names.
    words: tuple[str, ...]
    #: Whether one message may confirm it.
    confirmation: bool
    #: How soon after it that has to go, seconds; None: the law does not say.
    confirmation_within: int | None
    #: What it covers at least, on the day of the review: one of SCOPES.
    scope: str
    #: How long it must be kept at least, such as "10y"; "": nothing is said. Ours never lapses.
    kept_for: str
    source: Source
    #: What it covers from a known day on; None: nothing is known to change.
    later: tuple[date, str] | None = None

    def scope_on(self, day: date) -> str:
        """What an opt-out covers at least on that day: one of SCOPES."""
        return self.later[1] if self.later is not None and day >= self.later[0] else self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something a law asks of whoever sends, which no fact about one person and message shows: told, not enforced."""

    id: str
    #: The day it took effect.
    since: date
    #: What to do, as an instruction.
    what: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """Something known to change on a date."""

    on: date
    what: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moratorium:
    """A ban that somebody declares, such as in a state of emergency. Nobody computes it: an operator stops sending."""

    kind: str
    effect: str
    checked: str
    source: str
