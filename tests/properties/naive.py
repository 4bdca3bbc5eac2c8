"""A second reading of when a message may go: slow, literal, and sharing no code with the engine.

An instant is judged by asking every rule whether it permits *at that instant*. Time is walked in steps between which
nothing can change (quarters of an hour, the odd minutes a document names, the exact edges of facts) to 30 days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from policies.facts import Facts
from tests.properties.naive_documents import DAY, Document
from tests.properties.naive_grounds import GROUNDS
from tests.properties.naive_places import NOWHERE, data, place_of, walls
from tests.properties.naive_rules import Rules

HORIZON = 30 * DAY
ORDER = (
    "suppression", "consent", "kill_switch", "messaging_window", "schedule", "handover", "minimum_gap",
    "frequency_cap", "quiet_hours", "unknown_zone",
)  # fmt: skip
#: The rules that read a clock on a wall.
LOCAL = ("quiet_hours", "frequency_cap")


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


class Naive:
    """One message to one contact under one document, at one instant."""

    def __init__(self, document: Document, facts: Facts, now: int, remaining: int) -> None:
        self.document, self.facts, self.now, self.remaining = document, facts, now, remaining
        self.bound = Rules(document, facts, now)
        self.rules = self.bound.rules
        self.end = now + HORIZON
        self.horizon = min(self.end, *self.bound.ends) if self.bound.ends else self.end
        #: Where facts and documents say that something changes; local time may change the answer at others besides.
        self.exact = self.bound.exact_edges() | {now, self.end}
        edges = self.exact | self.bound.local_edges(self.end)
        #: Instants from now to the horizon between which no rule changes its mind; the horizon is the last.
        self.points = sorted(edge for edge in edges if now <= edge <= self.end)
        self.memo: dict[str, list[bool]] = {}
        self.local_memo: dict[tuple[str, int], bool] = {}

    # --- walking time ---

    def answers(self, rule: str) -> Iterable[bool]:
        """What a rule says at each of the points, in their order."""
        if rule in LOCAL:
            return (self.local_answer(rule, at) for at in self.points)
        if rule not in self.memo:
            found = self.memo[rule] = list[bool]()
            for at in self.points:
                found.append(self.rules[rule](at) if at in self.exact else found[-1])
        return self.memo[rule]

    def local_answer(self, rule: str, at: int) -> bool:
        known = self.local_memo.get((rule, at))
        if known is None:
            known = self.local_memo[rule, at] = self.rules[rule](at)
        return known

    def together(self, rules: list[str]) -> Iterator[bool]:
        """Whether all of these rules permit, at each of the points."""
        local = [rule for rule in rules if rule in LOCAL]
        vectors = [[True] * len(self.points), *(self.answers(rule) for rule in rules if rule not in LOCAL)]
        for at, *answers in zip(self.points, *vectors, strict=True):
            yield all(answers) and all(self.local_answer(rule, at) for rule in local)

    def intervals(self, answers: Iterable[bool], before: int) -> Iterator[tuple[int, int]]:
        """The times that are permitted, as half-open intervals, found one after another."""
        start = None
        for at, permits in zip(self.points, answers, strict=True):
            if permits and at < before:
                start = at if start is None else start
            elif start is not None:
                yield start, min(at, before)
                start = None

    def lasts(self, answers: Iterable[bool], before: int) -> bool:
        """Some instant before ``before`` from which it is permitted for long enough."""
        return any(end - start > self.remaining for start, end in self.intervals(answers, before))

    def leaves_something(self, rules: list[str], before: int) -> bool:
        return self.lasts(self.together(rules), before)

    def closed_now(self, rule: str) -> bool:
        """It does not permit now, or not for long enough."""
        until = self.now + self.remaining
        return any(at <= until and not permits for at, permits in zip(self.points, self.answers(rule), strict=True))

    def restricts(self, rule: str) -> bool:
        end = self.end if rule == "schedule" else self.horizon
        return any(at < end and not permits for at, permits in zip(self.points, self.answers(rule), strict=True))

    def ground(self, at: int) -> str | None:
        """The preferred ground that holds as long as the message is asked to stay permitted; else, at that instant."""
        instants = [at, *(point for point in self.points if at < point <= at + self.remaining)]
        lasting = (g for g in GROUNDS if all(self.bound.grounds.holds(g, each) for each in instants))
        return next(lasting, None) or next((g for g in GROUNDS if self.bound.grounds.holds(g, at)), None)

    # --- what ends, or holds, everything ---

    def bars(self) -> frozenset[str]:
        facts = self.facts
        opted_out = facts.opted_out or (facts.topic is not None and facts.topic in facts.opted_out_topics)
        if facts.confirms_opt_out and facts.category == "service" and opted_out:
            # One message may confirm it, once, in the five minutes after they said so.
            since = facts.opted_out_at
            in_time = since is not None and self.now < since + 300
            opted_out = not in_time or any(send.confirms_opt_out and send.at >= since for send in facts.sends)
        codes = {
            "opted_out": opted_out,
            "blocked": facts.blocked,
            "unreachable": facts.unreachable,
            "erased": facts.erased,
            "test_mode": facts.not_allowed,
        }
        return frozenset(code for code, holds in codes.items() if holds)

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
        if facts.handover and self.bound.handed_back is None:
            found["handover"] = ("handover", "handback")
        if self.document.mode == "hold" and self.bound.uncertain:
            found["unknown_zone"] = ("unknown_zone", "zone_evidence")
        return found

    def no_instant_suits_all(self) -> bool:
        """No instant suits every candidate zone, though each alone has some: by hours and calendar caps alone."""
        bound = self.bound
        if not bound.uncertain or self.document.mode == "hold":
            return False

        def suit(zones: tuple[str, ...]) -> bool:
            groups = bound.days_of_sends(zones)
            answers = (
                bound.hours_open(zones, at) and all(bound.calendar_open(names, used, at) for names, used in groups)
                for at in self.points
            )
            return self.lasts(answers, self.horizon)

        return not suit(bound.zones) and all(suit((name,)) for name in bound.zones)

    # --- deciding ---

    def decide(self) -> Reading:
        facts, rules = self.facts, list(self.rules)
        if bars := self.bars():
            return Reading("deny", because=("suppression",), reasons=bars)
        if facts.expires_at is not None and facts.expires_at <= self.now:
            return Reading("deny", because=("schedule",), reasons=frozenset({"expired"}))
        if self.no_instant_suits_all():
            return self.or_wait(Reading("deny", because=("unknown_zone",), reasons=frozenset({"unknown_zone"})))
        held = self.open_ended()
        person = self.bound.handed_back is not None and self.bound.handed_back > self.now
        usable = self.usable(rules)
        waits = not usable and person
        if waits:
            # The person may hand back early: then something would be left.
            usable = self.usable([rule for rule in rules if rule != "handover"])
        if not usable:
            return self.or_wait(self.deny(rules))
        closed = [rule for rule in rules if self.closed_now(rule)]
        if held or waits:
            return self.hold(held | ({"handover": ("handover", "handback")} if person else {}), closed, usable[-1][1])
        at, closes_at = usable[0]
        found = Reading("send", at, self.ground(at), closes_at, usable[-1][1])
        if at > self.now:
            found.verdict, found.because = "defer", tuple(rule for rule in ORDER if rule in closed)
            found.reasons = frozenset(self.hold_reasons(found.because[0])) if closed else frozenset()
            found.wakes_on = "handback" if person else None
        return found

    def usable(self, rules: list[str]) -> list[tuple[int, int]]:
        times = self.intervals(self.together(rules), self.end)
        return [(start, end) for start, end in times if end - start > self.remaining]

    def hold(self, held: dict[str, tuple[str, str]], closed: list[str], deadline: int) -> Reading:
        because = [rule for rule in ORDER if rule in closed or rule in held]
        first = next(rule for rule in ORDER if rule in held)
        reasons = {held[because[0]][0]} if because[0] in held else self.hold_reasons(because[0])
        return Reading(
            "defer", deadline=deadline, because=tuple(because), reasons=frozenset(reasons), wakes_on=held[first][1]
        )

    def deny(self, rules: list[str]) -> Reading:
        # Whoever has the conversation may hand it back at any time, so no denial is a handover's doing.
        rules = [rule for rule in rules if rule != "handover"]
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

    def or_wait(self, found: Reading) -> Reading:
        """A denial that the person can lift is a wait with the same blame, where the message may wait."""
        if not self.facts.may_wait or DAY - self.document.margin <= self.remaining:
            return found
        if found.because == ("unknown_zone",):
            wakes_on, left = "zone_evidence", self.left_in_some_zone()
        else:
            wakes_on, left = "inbound", "messaging_window" in found.because and self.left_if_they_wrote()
            if not left:
                wakes_on, left = "zone_evidence", "consent" in found.because and self.left_in_some_zone()
        if left:
            found.verdict, found.wakes_on = "defer", wakes_on
        return found

    def left_if_they_wrote(self) -> bool:
        """Whether a message from them, now or later, would let it go; the conversation may be handed back too."""
        return self.leaves_something([r for r in self.rules if r not in ("messaging_window", "handover")], self.end)

    def left_in_some_zone(self) -> bool:
        """The same, if one of the candidate zones were known to be theirs: then only that place's laws bind."""
        if not self.leaves_something(["schedule", "minimum_gap"], self.end):
            return False
        different: dict[object, Naive] = {}
        for zone in self.bound.place.zones:
            facts = self.facts_known_in(zone)
            there = place_of(facts)
            key = (data(zone) if zone[0] not in "+-" else zone, there.jurisdictions, there.countries)
            if key not in different:
                different[key] = found = Naive(self.document, facts, self.now, self.remaining)
                found.bound.zones = (zone,)
                found.bound.by_days_of_sends = found.bound.days_of_sends((zone,))
                if found.left_if_they_wrote():
                    return True
        return False

    def facts_known_in(self, zone: str) -> Facts:
        """What would be known of them. An offset says nothing of the country."""
        return replace(self.facts, timezones=() if zone[0] in "+-" or zone in NOWHERE else (zone,), utc_offset=None)

    def hold_reasons(self, rule: str) -> set[str | None]:
        if rule == "quiet_hours":
            return self.quiet_reasons()
        if rule == "consent":
            return set(self.bound.grounds.consent_reasons(self.now, self.now + self.remaining))
        return {"schedule": {"not_before"}, "messaging_window": {"window_closed"}}.get(rule, {rule})

    def deny_reasons(self, rule: str) -> set[str | None]:
        if rule == "schedule":
            late = self.facts.not_before is not None and self.facts.not_before > self.now
            return {"expired", "not_before"} if late else {"expired"}
        return self.hold_reasons(rule)

    def quiet_reasons(self) -> set[str | None]:
        """A closed day where the closed hours have no period on their local date; either, where they differ."""
        until, bound = self.now + self.remaining, self.bound
        return {
            "closed_day" if bound.closes_day(entry, wall) else "quiet_hours"
            for at in self.points
            if at <= until
            for wall in walls(bound.zones, at)
            for entry in bound.hours
            if not bound.open_at(entry, wall, at)
        } or {"quiet_hours", "closed_day"}
