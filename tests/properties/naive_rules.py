"""The second reading of the rules: each permits at one instant, or it does not."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from policies.facts import Facts, Send
from tests.properties.naive_documents import Document, bound, seconds
from tests.properties.naive_grounds import GROUNDS, Grounds
from tests.properties.naive_places import (
    Entry,
    belongs_to,
    calendar_of,
    distinct,
    hours_or_cap_binds,
    is_holiday,
    law,
    offset,
    place_of,
    wall_clock,
    walls,
)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Rule = Callable[[int], bool]
Periods = list[list[str]]


@functools.cache
def clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def period(cap: Entry, day: date) -> date:
    """The day itself, or the Monday of its week."""
    return day - timedelta(days=day.weekday()) if cap["per"] == "week" else day


def in_all(rows: list[Periods], minute: float) -> bool:
    """Whether a minute of the day lies in some period of each row."""
    return all(any(clock(start) <= minute < clock(end) for start, end in row) for row in rows)


class Rules:
    """What binds one message to one contact under one document."""

    def __init__(self, document: Document, facts: Facts, now: int) -> None:
        self.document, self.facts, self.now = document, facts, now
        self.place = place = place_of(facts)
        self.grounds = Grounds(document, facts, place)
        zones = place.zones
        if document.mode == "fallback" and not place.evidence:
            zones = (document.zone,)
        self.zones = distinct(zones)
        self.hours = [entry | {"days_off": self.house_calendars(entry)} for entry in document.hours]
        caps = list(document.caps)
        for code in sorted(place.jurisdictions):
            for key, entries in (("permitted_hours", self.hours), ("frequency_cap", caps)):
                for entry in (law(code) or {}).get(key, []):
                    if hours_or_cap_binds(entry, document.jurisdictions):
                        found = entry | {"applies_to": ["promotional"], "terms": (law(code) or {}).get("consent")}
                        entries.append(found | {"days_off": self.pack_calendars(entry, code)})
        self.hours = [entry for entry in self.hours if bound(entry, facts.category)]
        caps = [entry for entry in caps if bound(entry, facts.category)]
        self.rolling = [cap for cap in caps if cap["per"] not in ("day", "week")]
        self.calendar = [cap for cap in caps if cap["per"] in ("day", "week")]
        self.gaps = [gap for gap in document.gaps if bound(gap, facts.category)]
        #: When the message runs out of time: its own expiry; of a confirmed opt-out, five minutes.
        self.ends = [] if facts.expires_at is None else [facts.expires_at]
        gone = facts.opted_out or (facts.topic is not None and facts.topic in facts.opted_out_topics)
        if facts.confirms_opt_out and gone and facts.opted_out_at is not None:
            self.ends.append(facts.opted_out_at + 300)
        self.uncertain = len(self.zones) > 1 and bool(self.hours or self.calendar)
        self.by_days_of_sends = self.days_of_sends(self.zones)
        #: When a handover ends by itself; None where it does not, or there is none.
        self.handed_back = None
        if facts.handover and facts.handover_at is not None and document.timeout is not None:
            self.handed_back = facts.handover_at + document.timeout
        self.rules: dict[str, Rule] = {
            "consent": self.grounds.consent,
            "messaging_window": lambda at: any(self.grounds.holds(ground, at) for ground in GROUNDS),
            "schedule": self.schedule,
            "handover": lambda at: self.handed_back is None or at >= self.handed_back,
            "minimum_gap": self.gap,
            "frequency_cap": self.cap,
            "quiet_hours": lambda at: self.hours_open(self.zones, at),
        }

    # --- holidays ---

    def house_calendars(self, entry: Entry) -> frozenset[str]:
        whose = entry.get("holidays", "")
        if whose != "contact":
            return frozenset({whose} if whose else ())
        found = {calendar_of(country, self.place.region) for country in self.place.countries}
        return frozenset(each for each in found if each)

    def pack_calendars(self, entry: Entry, code: str) -> frozenset[str]:
        whose = entry.get("holidays", "")
        if whose != "contact":
            return frozenset({whose} if whose else ())
        state, dash, _ = code.partition("-")
        if dash:
            found = {calendar_of(state, self.place.region)}
        else:
            there = {each for each in self.place.countries if each == state or belongs_to(each, state)}
            found = {calendar_of(each, self.place.region) for each in there or {state}}
        return frozenset(each for each in found if each)

    # --- hours ---

    def rows(self, entry: Entry, wall: datetime) -> list[Periods]:
        """What the hours say of a wall clock's own date: every one of these must be open."""
        day, days_off = wall.date(), entry["days_off"]
        row = entry.get(WEEKDAYS[wall.weekday()], entry.get("daily", [["00:00", "24:00"]]))
        if "holiday" in entry and is_holiday(days_off, day):
            return [entry["holiday"]]
        if "before_holiday" in entry and is_holiday(days_off, day + timedelta(days=1)):
            return [row, entry["before_holiday"]]
        return [row]

    def open_at(self, entry: Entry, wall: datetime, at: int) -> bool:
        """Whether a wall clock lies in the hours of its own date, or a consent lifts them."""
        minute = wall.hour * 60 + wall.minute + wall.second / 60
        return in_all(self.rows(entry, wall), minute) or self.lifted(entry, at)

    def closes_day(self, entry: Entry, wall: datetime) -> bool:
        """Whether no minute of a wall clock's own date is open."""
        rows = self.rows(entry, wall)
        return not any(in_all(rows, minute) for minute in range(24 * 60))

    def lifted(self, entry: Entry, at: int) -> bool:
        if "lifted_by" not in entry:
            return False
        given = self.grounds.matching([entry["lifted_by"]])
        return any(self.grounds.in_force(each, entry["terms"] or {}, at) for each in given)

    def hours_open(self, zones: tuple[str, ...], at: int) -> bool:
        if not self.hours:
            return True
        return self.some_or_all(all(self.open_at(entry, wall, at) for entry in self.hours) for wall in walls(zones, at))

    def some_or_all(self, answers: Iterable[bool]) -> bool:
        """Every candidate must permit; where the policy holds for evidence, what one permits would be left."""
        return any(answers) if self.document.mode == "hold" else all(answers)

    # --- the rest ---

    def schedule(self, at: int) -> bool:
        return (self.facts.not_before is None or at >= self.facts.not_before) and all(at < end for end in self.ends)

    def counted(self, entry: Entry) -> list[Send]:
        return [send for send in self.facts.sends if bound(entry, send.category)]

    def planned(self, entry: Entry) -> list[int]:
        return [each.at for each in self.facts.planned if bound(entry, each.category)]

    def gap(self, at: int) -> bool:
        return not any(
            any(send.at <= at < send.at + seconds(gap["between"]) for send in self.counted(gap))
            or any(abs(planned - at) < seconds(gap["between"]) for planned in self.planned(gap))
            for gap in self.gaps
        )

    def cap(self, at: int) -> bool:
        for cap in self.rolling:
            if sum(s.at <= at < s.at + seconds(cap["per"]) for s in self.counted(cap)) >= cap["limit"]:
                return False
            if self.spoils(cap, at):
                return False
        return self.some_or_all(self.calendar_open(zones, used, at) for zones, used in self.by_days_of_sends)

    def spoils(self, cap: Entry, at: int) -> bool:
        """Whether a send at this instant and what is planned would be too many for some period that holds both."""
        planned, per = self.planned(cap), seconds(cap["per"])
        others = [send.at for send in self.counted(cap)] + planned
        for start in {at, *(other for other in others if at - per < other <= at)}:
            full = sum(start <= each < start + per for each in others) >= cap["limit"]
            if full and any(start <= each < start + per for each in planned):
                return True
        return False

    def calendar_open(self, zones: tuple[str, ...], used: list[Counter[date]], at: int) -> bool:
        """Whether calendar caps permit in zones that all had the sends on the same local days."""
        if not self.calendar:
            return True
        return self.some_or_all(
            all(count[period(cap, wall.date())] < cap["limit"] for cap, count in zip(self.calendar, used, strict=True))
            for wall in walls(zones, at)
        )

    def days_of_sends(self, zones: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[Counter[date]]]]:
        """The zones, in groups in which the sends fell on the same local days, with what each calendar cap counts."""
        groups: dict[tuple[tuple[date, ...], ...], list[str]] = {}
        for name in zones:
            days = tuple(
                tuple(
                    period(cap, wall_clock(each + offset(name, each)).date())
                    for each in [*(send.at for send in self.counted(cap)), *self.planned(cap)]
                )
                for cap in self.calendar
            )
            groups.setdefault(days, []).append(name)
        return [(tuple(names), [Counter(of_cap) for of_cap in days]) for days, names in groups.items()]

    # --- when things change ---

    def exact_edges(self) -> set[int]:
        """Every instant at which facts or the document say that something begins or ends."""
        facts, found = self.facts, self.grounds.edges()
        found |= {edge for edge in (facts.not_before, *self.ends, self.handed_back) if edge is not None}
        found |= {send.at + seconds(gap["between"]) for gap in self.gaps for send in facts.sends}
        found |= {send.at + seconds(cap["per"]) for cap in self.rolling for send in facts.sends}
        for spans in ([seconds(gap["between"]) for gap in self.gaps], [seconds(cap["per"]) for cap in self.rolling]):
            found |= {each.at + end for each in facts.planned for span in spans for end in (1 - span, span)}
        return found

    def local_edges(self, end: int) -> set[int]:
        """Every instant before ``end`` at which local time may change an answer: quarters, and odd minutes of hours."""
        if not self.hours and not self.calendar:
            return set()
        odd = {0} | {
            clock(edge) % 15
            for entry in self.hours
            for periods in entry.values()
            if isinstance(periods, list)
            for each in periods
            if isinstance(each, list)
            for edge in each
        }
        return {at + minute * 60 for at in range(self.now // 900 * 900, end, 900) for minute in odd}
