"""A second reading of when a message may go: slow, literal, and sharing no code with the engine.

An instant is judged by asking every rule whether it permits *at that instant*. Time is walked in steps between which
nothing can change (quarters of an hour, the odd minutes a document names, the exact edges of facts) to 30 days.
"""

from __future__ import annotations

import functools
import io
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from policies.facts import Facts, Send

MINUTE, HOUR, DAY = 60, 3600, 86400
HORIZON = 30 * DAY
UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ORDER = (
    "suppression", "kill_switch", "messaging_window", "schedule", "handover", "minimum_gap", "frequency_cap",
    "quiet_hours", "unknown_zone",
)  # fmt: skip
LAW = Path(__file__).parents[2] / "policies" / "packs" / "law"
TZDATA = resources.files("tzdata")

Rule = Callable[[int], bool]
Entry = dict[str, object]


@dataclass(slots=True)
class Reading:
    """What a decision should be. ``reasons``: the codes that would do, where the specification leaves a choice."""

    verdict: str
    at: int | None = None
    ground: str | None = None
    closes_at: int | None = None
    deadline: int | None = None
    because: tuple[str, ...] = ()
    reasons: frozenset[str | None] = frozenset({None})
    wakes_on: str | None = None


# --- documents -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Document:
    """A policy document as its tables stand, with what it leaves out filled in."""

    hours: list[Entry] = field(default_factory=list)
    caps: list[Entry] = field(default_factory=list)
    gaps: list[Entry] = field(default_factory=list)
    margin: int = 0
    jurisdictions: str = "off"
    mode: str = "all_candidates"
    zone: str = ""


def read(text: str, base: Document | None = None) -> Document:
    """The document written in ``text``, over ``base`` where it extends one."""
    tables = tomllib.loads(text)
    document = base or Document()
    document.margin = seconds(tables.get("messaging_window", {}).get("margin", f"{document.margin}s"))
    document.jurisdictions = tables.get("policy", {}).get("jurisdictions", document.jurisdictions)
    document.mode = tables.get("unknown_zone", {}).get("mode", document.mode)
    document.zone = tables.get("unknown_zone", {}).get("zone", document.zone)
    for key, entries in (
        ("permitted_hours", document.hours),
        ("frequency_cap", document.caps),
        ("minimum_gap", document.gaps),
    ):
        for entry in tables.get(key, []):
            entries[:] = [old for old in entries if old["id"] != entry["id"]] + [entry]
    return document


def seconds(text: str) -> int:
    """ "90m" as 5400."""
    return int(text[:-1]) * UNITS[text[-1]]


# --- places ----------------------------------------------------------------------------------------------------------


@functools.cache
def zone(name: str) -> ZoneInfo:
    """The zone of the locked ``tzdata`` package, whatever the machine has."""
    return ZoneInfo.from_file(io.BytesIO(data(name)), key=name)


@functools.cache
def data(name: str) -> bytes:
    return TZDATA.joinpath("zoneinfo").joinpath(*name.split("/")).read_bytes()


def offset(name: str, at: int) -> int:
    """Seconds east of UTC in a zone at an instant; ``+5400`` is a fixed offset by itself."""
    if name[0] in "+-":
        return int(name)
    shift = datetime.fromtimestamp(at, zone(name)).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


@functools.cache
def steady_offset(name: str, day: int) -> int | None:
    """The offset of a zone on a UTC day; None on a day of change (no zone goes forth and back within a day)."""
    first, last = offset(name, day * DAY), offset(name, day * DAY + DAY - 1)
    return first if first == last else None


@functools.lru_cache(maxsize=10_000)
def steady_offsets(zones: tuple[str, ...], day: int) -> frozenset[int] | None:
    found = frozenset(steady_offset(name, day) for name in zones)
    return None if None in found else found


def walls(zones: tuple[str, ...], at: int) -> list[datetime]:
    """The different wall clocks of several zones at an instant."""
    found = steady_offsets(zones, at // DAY) or {offset(name, at) for name in zones}
    return [wall_clock(at + shift) for shift in found]


@functools.lru_cache(maxsize=100_000)
def wall_clock(shifted: int) -> datetime:
    return datetime.fromtimestamp(shifted, UTC).replace(tzinfo=None)


@functools.cache
def zone_tab() -> dict[str, str]:
    """Zone → country, as ``zone.tab`` has it."""
    rows = [
        line.split("\t")
        for line in TZDATA.joinpath("zoneinfo", "zone.tab").read_text().splitlines()
        if not line.startswith("#")
    ]
    return {row[2]: row[0] for row in rows}


@functools.cache
def links() -> dict[str, str]:
    """Link → what it links to."""
    rows = [line.split() for line in TZDATA.joinpath("zoneinfo", "tzdata.zi").read_text().splitlines()]
    return {row[2]: row[1] for row in rows if row[0] == "L"}


@functools.cache
def all_zones() -> tuple[str, ...]:
    return tuple(TZDATA.joinpath("zones").read_text().split())


@functools.cache
def pack(code: str) -> Entry | None:
    path = LAW / f"{code}.toml"
    return tomllib.loads(path.read_text()) if path.exists() else None


def zones_and_jurisdictions(facts: Facts) -> tuple[tuple[str, ...], set[str], bool]:
    """The candidate zones, the places whose packs bind, and whether there was any evidence of a zone."""
    country = facts.country or (facts.region.split("-")[0] if facts.region else None)
    places: set[str] = set()
    if country:
        places = {country} | ({facts.region} if facts.region else set())
    else:
        for name in facts.timezones:
            found = zone_tab().get(name) or zone_tab().get(links().get(name, ""))
            places |= {found} if found else set()
    its_pack = pack(facts.region) if facts.region else None
    listed = its_pack["jurisdiction"].get("zones") if its_pack else None
    if facts.timezones:
        return facts.timezones, places, True
    if listed:
        return tuple(listed), places, True
    if facts.utc_offset is not None:
        return tuple(f"{(facts.utc_offset + d) * 60:+d}" for d in (-60, 0, 60)), places, True
    of_country = tuple(name for name, its in zone_tab().items() if its == country)
    if of_country:
        return of_country, places, True
    return all_zones(), places, False


def law_binds(entry: Entry, mode: str) -> bool:
    if mode == "courtesy":
        return bool({"sms", "app_push", "messaging_app"} & set(entry["channels"])) or reaches_apps(entry)
    return mode == "legal" and reaches_apps(entry)


def reaches_apps(entry: Entry) -> bool:
    return entry["app_messages"] in ("yes", "likely")


# --- rules -----------------------------------------------------------------------------------------------------------


def bound(entry: Entry, category: str) -> bool:
    return category in entry.get("applies_to", [category])


def open_at(entry: Entry, wall: datetime) -> bool:
    """Whether a wall clock lies in the hours of its own date."""
    minute = wall.hour * 60 + wall.minute + wall.second / 60
    return any(clock(start) <= minute < clock(end) for start, end in row(entry, wall))


def row(entry: Entry, wall: datetime) -> list[list[str]]:
    return entry.get(WEEKDAYS[wall.weekday()], entry.get("daily", [["00:00", "24:00"]]))


@functools.cache
def clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def period(cap: Entry, day: date) -> date:
    """The day itself, or the Monday of its week."""
    return day - timedelta(days=day.weekday()) if cap["per"] == "week" else day


class Naive:
    """One message to one contact under one document, at one instant."""

    def __init__(self, document: Document, facts: Facts, now: int, remaining: int) -> None:
        self.document, self.facts, self.now, self.remaining = document, facts, now, remaining
        self.zones, places, evidence = zones_and_jurisdictions(facts)
        if document.mode == "fallback" and not evidence:
            self.zones = (document.zone,)
        self.zones = tuple({name if name[0] in "+-" else data(name): name for name in self.zones}.values())
        self.hours = [entry for entry in document.hours if bound(entry, facts.category)]
        caps = [entry for entry in document.caps if bound(entry, facts.category)]
        if facts.category == "promotional":
            for code in sorted(places):
                law = pack(code) or {}
                binding = [entry | {"applies_to": ["promotional"]} for entry in law.get("permitted_hours", [])]
                self.hours += [entry for entry in binding if law_binds(entry, document.jurisdictions)]
                binding = [entry | {"applies_to": ["promotional"]} for entry in law.get("frequency_cap", [])]
                caps += [entry for entry in binding if law_binds(entry, document.jurisdictions)]
        self.rolling = [cap for cap in caps if cap["per"] not in ("day", "week")]
        self.calendar = [cap for cap in caps if cap["per"] in ("day", "week")]
        self.gaps = [gap for gap in document.gaps if bound(gap, facts.category)]
        self.uncertain = len(self.zones) > 1 and bool(self.hours or self.calendar)
        self.by_days_of_sends = self.days_of_sends(self.zones)
        self.memo: dict[tuple[str, int], bool] = {}
        self.rules: dict[str, Rule] = {
            "messaging_window": lambda at: self.ground(at) is not None,
            "schedule": self.schedule,
            "minimum_gap": self.gap,
            "frequency_cap": self.cap,
            "quiet_hours": self.quiet,
        }
        self.end = now + HORIZON
        self.horizon = self.end if facts.expires_at is None else min(self.end, facts.expires_at)
        self.points = self.all_points()

    def counted(self, entry: Entry) -> list[Send]:
        return [send for send in self.facts.sends if bound(entry, send.category)]

    def ground(self, at: int) -> str | None:
        since = self.facts.last_inbound
        if since is not None and since <= at < since + DAY - self.document.margin:
            return "standard_window"
        if self.facts.category == "utility" and self.facts.template_approved:
            return "utility_template"
        return None

    def schedule(self, at: int) -> bool:
        facts = self.facts
        return (facts.not_before is None or at >= facts.not_before) and (
            facts.expires_at is None or at < facts.expires_at
        )

    def gap(self, at: int) -> bool:
        return not any(
            send.at <= at < send.at + seconds(gap["between"]) for gap in self.gaps for send in self.counted(gap)
        )

    def cap(self, at: int) -> bool:
        for cap in self.rolling:
            if sum(s.at <= at < s.at + seconds(cap["per"]) for s in self.counted(cap)) >= cap["limit"]:
                return False
        return self.some_or_all(self.calendar_open(zones, used, at) for zones, used in self.by_days_of_sends)

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
                tuple(period(cap, wall_clock(send.at + offset(name, send.at)).date()) for send in self.counted(cap))
                for cap in self.calendar
            )
            groups.setdefault(days, []).append(name)
        return [(tuple(names), [Counter(of_cap) for of_cap in days]) for days, names in groups.items()]

    def quiet(self, at: int) -> bool:
        return self.hours_open(self.zones, at)

    def hours_open(self, zones: tuple[str, ...], at: int) -> bool:
        if not self.hours:
            return True
        return self.some_or_all(all(open_at(entry, wall) for entry in self.hours) for wall in walls(zones, at))

    def some_or_all(self, answers: Iterable[bool]) -> bool:
        """Every candidate must permit; where the policy holds for evidence, what one permits would be left."""
        return any(answers) if self.document.mode == "hold" else all(answers)

    # --- walking time ---

    def all_points(self) -> list[int]:
        """Instants from now to the horizon between which no rule changes its mind; the horizon is the last."""
        end = self.now + HORIZON
        odd = {0} | {
            clock(edge) % 15
            for entry in self.hours
            for periods in entry.values()
            if isinstance(periods, list)
            for period in periods
            if isinstance(period, list)
            for edge in period
        }
        edges = {self.now, end}
        if self.hours or self.calendar:
            quarter = self.now // 900 * 900
            edges |= {at + minute * 60 for at in range(quarter, end, 900) for minute in odd}
        facts = self.facts
        if facts.last_inbound is not None:
            edges |= {facts.last_inbound, facts.last_inbound + DAY - self.document.margin}
        edges |= {edge for edge in (facts.not_before, facts.expires_at) if edge is not None}
        edges |= {send.at + seconds(gap["between"]) for gap in self.gaps for send in facts.sends}
        edges |= {send.at + seconds(cap["per"]) for cap in self.rolling for send in facts.sends}
        return sorted(edge for edge in edges if self.now <= edge <= end)

    def permits(self, rule: str, at: int) -> bool:
        known = self.memo.get((rule, at))
        if known is None:
            known = self.memo[rule, at] = self.rules[rule](at)
        return known

    def intervals(self, permits: Rule, before: int) -> Iterator[tuple[int, int]]:
        """The times that are permitted, as half-open intervals, found one after another."""
        start = None
        for at in self.points:
            if at < before and permits(at):
                start = at if start is None else start
            elif start is not None:
                yield start, min(at, before)
                start = None

    def lasts(self, permits: Rule, before: int) -> bool:
        """Some instant before ``before`` from which it is permitted for long enough."""
        return any(end - start > self.remaining for start, end in self.intervals(permits, before))

    def leaves_something(self, rules: list[str], before: int) -> bool:
        return self.lasts(lambda at: all(self.permits(rule, at) for rule in rules), before)

    def closed_now(self, rule: str) -> bool:
        """It does not permit now, or not for long enough."""
        until = self.now + self.remaining
        return not all(self.permits(rule, at) for at in self.points if at <= until)

    def restricts(self, rule: str) -> bool:
        end = self.end if rule == "schedule" else self.horizon
        return not all(self.permits(rule, at) for at in self.points if at < end)

    # --- deciding ---

    def bar(self) -> str | None:
        facts = self.facts
        codes = {
            "opted_out": facts.opted_out or (facts.topic is not None and facts.topic in facts.opted_out_topics),
            "blocked": facts.blocked,
            "unreachable": facts.unreachable,
            "erased": facts.erased,
            "test_mode": facts.not_allowed,
        }
        self.bars = frozenset(code for code, holds in codes.items() if holds)
        return "suppression" if self.bars else None

    def open_ended(self) -> dict[str, tuple[str, str]]:
        """The open-ended holds: rule → reason code, and what ends it."""
        facts = self.facts
        found: dict[str, tuple[str, str]] = {}
        for holds, code, wakes in (
            (facts.kill_switch, "kill_switch", "resume"),
            (facts.page_stopped, "page_stopped", "page_restored"),
            (facts.campaign_paused, "campaign_paused", "resume"),
            (facts.held, "contact_held", "resume"),
        ):
            if holds:
                found.setdefault("kill_switch", (code, wakes))
        if facts.handover:
            found["handover"] = ("handover", "handback")
        if self.document.mode == "hold" and self.uncertain:
            found["unknown_zone"] = ("unknown_zone", "zone_evidence")
        return found

    def no_instant_suits_all(self) -> bool:
        """No instant suits every candidate zone, though each alone has some: by hours and calendar caps alone."""
        if not self.uncertain or self.document.mode == "hold":
            return False

        def suit(zones: tuple[str, ...]) -> bool:
            groups = self.days_of_sends(zones)
            return self.lasts(
                lambda at: (
                    self.hours_open(zones, at) and all(self.calendar_open(names, used, at) for names, used in groups)
                ),
                self.horizon,
            )

        return not suit(self.zones) and all(suit((name,)) for name in self.zones)

    def decide(self) -> Reading:
        facts, rules = self.facts, list(self.rules)
        if self.bar():
            return Reading("deny", because=("suppression",), reasons=self.bars)
        if facts.expires_at is not None and facts.expires_at <= self.now:
            return Reading("deny", because=("schedule",), reasons=frozenset({"expired"}))
        if self.no_instant_suits_all():
            return Reading("deny", because=("unknown_zone",), reasons=frozenset({"unknown_zone"}))
        held = self.open_ended()
        times = self.intervals(lambda at: all(self.permits(rule, at) for rule in rules), self.end)
        usable = [(start, end) for start, end in times if end - start > self.remaining]
        if not usable:
            return self.deny(rules)
        closed = [rule for rule in rules if self.closed_now(rule)]
        if held:
            because = [rule for rule in ORDER if rule in closed or rule in held]
            first = next(rule for rule in ORDER if rule in held)
            reasons = {held[because[0]][0]} if because[0] in held else self.hold_reasons(because[0])
            return Reading(
                "defer", deadline=usable[-1][1], because=tuple(because), reasons=frozenset(reasons),
                wakes_on=held[first][1],
            )  # fmt: skip
        at, closes_at = usable[0]
        # A ground that ends sooner than the message is asked to stay permitted gives way to the next.
        found = Reading("send", at, self.ground(at + self.remaining), closes_at, usable[-1][1])
        if at > self.now:
            found.verdict, found.because = "defer", tuple(rule for rule in ORDER if rule in closed)
            found.reasons = frozenset(self.hold_reasons(found.because[0])) if closed else frozenset()
        return found

    def deny(self, rules: list[str]) -> Reading:
        blamed = [r for r in rules if self.leaves_something([other for other in rules if other != r], self.end)]
        helped = bool(blamed)
        reach = max(self.horizon, self.now + self.remaining + 1)
        blamed = blamed or [rule for rule in rules if not self.leaves_something([rule], reach)]
        blamed = blamed or [rule for rule in rules if self.restricts(rule)]
        blamed = [rule for rule in ORDER if rule in blamed]
        reasons = self.deny_reasons(blamed[0])
        if blamed[0] == "messaging_window" and self.leaves_something(["messaging_window"], self.horizon):
            # The window is open: what opens only after it is the reason. Several may.
            codes = {"quiet_hours": "window_closes_in_quiet_hours", "frequency_cap": "window_closes_before_cap"}
            late = {rule for rule in codes if not self.leaves_something(["messaging_window", rule], self.horizon)}
            late |= set(codes) & set(blamed) if helped else set()
            reasons = {codes[rule] for rule in late} or reasons
        return Reading("deny", because=tuple(blamed), reasons=frozenset(reasons))

    def hold_reasons(self, rule: str) -> set[str | None]:
        if rule == "quiet_hours":
            return self.quiet_reasons()
        return {"schedule": {"not_before"}, "messaging_window": {"window_closed"}}.get(rule, {rule})

    def deny_reasons(self, rule: str) -> set[str | None]:
        if rule == "schedule":
            late = self.facts.not_before is not None and self.facts.not_before > self.now
            return {"expired", "not_before"} if late else {"expired"}
        return self.hold_reasons(rule)

    def quiet_reasons(self) -> set[str | None]:
        """A closed day where the closed hours have no period on their local date; either, where they differ."""
        until = self.now + self.remaining
        return {
            "quiet_hours" if row(entry, wall) else "closed_day"
            for at in self.points
            if at <= until
            for wall in walls(self.zones, at)
            for entry in self.hours
            if not open_at(entry, wall)
        } or {"quiet_hours", "closed_day"}
