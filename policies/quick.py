"""The short way to a decision, for the plain cases that nearly all messages are.

The engine's general path keeps sets of times and asks each rule in turn; that is the definition. Where nothing but the
window (or an approved template), the schedule, gaps, rolling caps and local hours can matter, and all sends lie in the
past, those sets have one shape: everything but the hours comes to a single stretch,

    [max(now, not_before, end of each gap, end of each full cap), min(end of the ground, expires_at))

so the decision is arithmetic on a few integers and one search in the hours. That is many times faster, and a test holds
it equal to the general path on random facts of every sort. Whatever is not plain is left to the general path: None.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from policies.binding import Binding, binding_of
from policies.case import HORIZON, Case
from policies.decision import Decision
from policies.facts import Facts, Send
from policies.policy import Policy
from policies.rules import consent, quiet_hours
from policies.timeline import Timeline

_WINDOW = ("messaging_window",)
_QUIET = ("quiet_hours",)
_CAP = ("frequency_cap",)
_GAP = ("minimum_gap",)
_SCHEDULE = ("schedule",)
_CODES = {"messaging_window": "window_closed", "minimum_gap": "minimum_gap", "frequency_cap": "frequency_cap"}


def decide_plain(policy: Policy, facts: Facts, now: int, remaining: int) -> Decision | None:
    """The decision on a plain case, the same that the general path takes; None where the case is not plain.

    Raises LookupError for a zone that tzdata has not.
    """
    if (
        facts.opted_out
        or facts.blocked
        or facts.unreachable
        or facts.erased
        or facts.not_allowed
        or facts.kill_switch
        or facts.page_stopped
        or facts.campaign_paused
        or facts.handover
        or facts.held
        or (facts.tokens and facts.category == "promotional")
        or (facts.opted_out_topics and facts.topic in facts.opted_out_topics)
    ):
        return None
    binding = binding_of(policy, facts)
    if (
        binding.held
        or (binding.consents and not consent.lasts(binding.consents, facts, now, now + HORIZON))
        or (facts.consents and binding.lifted)
        or (policy.click_to_messenger and facts.ad_inbound is not None)
    ):
        return None
    limit = now + HORIZON
    closes = now if facts.last_inbound is None else facts.last_inbound + policy.window
    if closes > limit:
        return None
    grounded = limit if facts.template_approved and facts.category in policy.utility_categories else closes
    gap = cap = now
    if facts.sends:
        ends = _ends(binding, facts.sends, now)
        if ends is None:
            return None
        gap, cap = ends
    not_before, expires_at, horizon = facts.not_before, facts.expires_at, limit
    begin, end = (gap if gap > cap else cap), grounded
    if not_before is not None and not_before > begin:
        begin = not_before
    if expires_at is not None:
        if expires_at <= now:
            return None
        if expires_at < end:
            end = expires_at
        if expires_at < horizon:
            horizon = expires_at
    timeline = binding.timeline(now) if binding.hours else None
    if binding.uncertain and timeline is not None and not timeline.opens(now, horizon, remaining):
        return None
    if grounded <= now:
        # No ground at all, the plainest of denials: relaxing any other rule could not help.
        helps = horizon - begin > remaining if timeline is None else timeline.opens(begin, horizon, remaining)
        return Decision(verdict="deny", because=_WINDOW, reason="window_closed") if helps else None
    if timeline is not None:
        found = _search(timeline, begin, end, remaining)
    else:
        found = (begin, end, end) if end - begin > remaining else None
    if found is not None:
        at, closes_at, deadline = found
        ground = "standard_window" if at + remaining < closes else "utility_template"
        if at == now:
            return Decision(verdict="send", at=now, ground=ground, closes_at=closes_at, deadline=deadline)
        asked = now + remaining + 1
        if begin == now and end >= asked:
            because: tuple[str, ...] = _QUIET
        else:
            because = _shut(timeline, facts, now, asked, grounded, gap, cap)
        return Decision(
            verdict="defer", at=at, ground=ground, closes_at=closes_at, deadline=deadline, because=because,
            reason=_reason(policy, facts, binding, now, remaining, because),
        )  # fmt: skip
    stretch = _Stretch(timeline, grounded, gap, cap, begin, end, horizon)
    because, reason = _blame(stretch, facts, now, remaining)
    if not because:
        return None
    return Decision(
        verdict="deny", because=because, reason=reason or _reason(policy, facts, binding, now, remaining, because)
    )


def _shut(
    timeline: Timeline | None, facts: Facts, now: int, asked: int, grounded: int, gap: int, cap: int
) -> tuple[str, ...]:
    """Whoever does not permit throughout [now, asked), by precedence."""
    not_before, expires_at = facts.not_before, facts.expires_at
    because: tuple[str, ...] = _WINDOW if grounded < asked else ()
    if (not_before is not None and not_before > now) or (expires_at is not None and expires_at < asked):
        because += _SCHEDULE
    if gap > now:
        because += _GAP
    if cap > now:
        because += _CAP
    if timeline is not None and not _covers(timeline, now, asked):
        because += _QUIET
    return because


class _Stretch(NamedTuple):
    """The single stretch of a plain case in which nothing was left, and what made it."""

    timeline: Timeline | None
    #: Ends of the ground, of the gaps, of the full caps.
    grounded: int
    gap: int
    cap: int
    begin: int
    end: int
    #: Where looking ends.
    horizon: int

    def leaves(self, begin: int, end: int, remaining: int) -> bool:
        """Whether the hours leave something of [begin, end)."""
        timeline = self.timeline
        return end - begin > remaining if timeline is None else timeline.opens(begin, end, remaining)


def _blame(at: _Stretch, facts: Facts, now: int, remaining: int) -> tuple[tuple[str, ...], str | None]:
    """Every rule whose relaxation alone would leave something, and the window's own codes; none: ask the engine."""
    because: tuple[str, ...] = _WINDOW if at.leaves(at.begin, at.horizon, remaining) else ()
    not_before = facts.not_before
    due = now if not_before is None or not_before < now else not_before
    if (not_before is not None or facts.expires_at is not None) and at.leaves(
        max(at.gap, at.cap), at.grounded, remaining
    ):
        because += _SCHEDULE
    if at.gap > now and at.leaves(max(due, at.cap), at.end, remaining):
        because += _GAP
    if at.cap > now and at.leaves(max(due, at.gap), at.end, remaining):
        because += _CAP
    if at.end - at.begin > remaining:
        because += _QUIET
    grounded = min(at.grounded, at.horizon)
    if grounded - now > remaining and because[:1] == _WINDOW:
        # The ground is there; what opens only after it is the reason.
        alone = because == _WINDOW
        if "quiet_hours" in because or (alone and not at.leaves(now, grounded, remaining)):
            return because, "window_closes_in_quiet_hours"
        if "frequency_cap" in because or (alone and grounded - at.cap <= remaining):
            return because, "window_closes_before_cap"
    return because, None


def _ends(binding: Binding, sends: tuple[Send, ...], now: int) -> tuple[int, int] | None:
    """When the gaps and the full rolling caps end, each at least ``now``; None where that does not say it all."""
    if binding.calendar:
        return None
    gap = cap = now
    for applies_to, between, caps in binding.paces:
        counted = [send.at for send in sends if not applies_to or send.category in applies_to]
        count = len(counted)
        if not count:
            continue
        if count > 1:
            counted.sort()
        if counted[-1] > now:
            return None
        if counted[-1] + between > gap:
            gap = counted[-1] + between
        # A cap is full until the newest sends that fill it begin to drop out.
        for number, period in caps:
            if number <= count and counted[-number] + period > cap:
                cap = counted[-number] + period
    return gap, cap


def _search(timeline: Timeline, begin: int, end: int, remaining: int) -> tuple[int, int, int] | None:
    """In [begin, end): the first usable instant, the end of its interval, the end of the last usable interval."""
    intervals, ends = timeline.intervals, timeline.ends
    for place in range(bisect_right(ends, begin), len(ends)):
        opened, closed = intervals[place]
        if opened < begin:
            opened = begin
        if closed >= end:
            return (opened, end, end) if end - opened > remaining else None
        if closed - opened > remaining:
            break
    else:
        return None
    for later in range(min(bisect_left(ends, end), len(ends) - 1), place, -1):
        last = min(ends[later], end)
        if last - intervals[later][0] > remaining:
            return opened, closed, last
    return opened, closed, closed


def _covers(timeline: Timeline, start: int, end: int) -> bool:
    """Whether the hours permit throughout [start, end)."""
    place = bisect_right(timeline.ends, start)
    return place < len(timeline.ends) and timeline.intervals[place][0] <= start and end <= timeline.ends[place]


def _reason(policy: Policy, facts: Facts, binding: Binding, now: int, remaining: int, because: tuple[str, ...]) -> str:
    """The code of the first of the blamed rules."""
    first = because[0]
    if first == "quiet_hours":
        if not binding.closing:
            return first
        # It may be a closed day; the rule knows.
        return quiet_hours.RULE.reason(Case(policy, facts, binding, now, remaining))
    if first == "schedule":
        return "expired" if facts.not_before is None or facts.not_before <= now else "not_before"
    return _CODES[first]
