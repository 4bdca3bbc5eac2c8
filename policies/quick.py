"""The short way to a decision, for the plain cases that nearly all messages are.

The engine's general path keeps sets of times and asks each rule in turn; that is the definition. Mostly each rule but
the hours leaves one stretch of time from now on: consent until it ends, the ground (the window, a template, tokens),
the schedule, a handover from its time-out on, gaps and full caps from their ends on. All but the hours then comes to

    [max of the stretches' beginnings, min of their ends)

so the decision is arithmetic on a few integers and one search in the hours. That is many times faster, and a test holds
it equal to the general path on random facts of every sort. Whatever is not plain is left to the general path: None.
"""

from __future__ import annotations

from policies.binding import binding_of
from policies.case import HORIZON, Case
from policies.decision import Decision
from policies.facts import Facts
from policies.grounds.standard_window import after_advertisement
from policies.intervals import Intervals, union
from policies.plain import Plain, plain_of
from policies.plain_blame import Span, alone, code_of, relaxable, shut
from policies.policy import Policy
from policies.rules import consent, handover, quiet_hours, suppression
from policies.stretches import Grounded, consented, on_tokens, resting
from policies.timeline import Opening, Timeline
from policies.waiting import INBOUND

_WINDOW = ("messaging_window",)
_QUIET = ("quiet_hours",)
_CODES = {
    "messaging_window": "window_closed", "handover": "handover", "minimum_gap": "minimum_gap",
    "frequency_cap": "frequency_cap",
}  # fmt: skip

#: The commonest denials are one object each: whoever holds a decision treats it as a value.
_CLOSED = Decision(verdict="deny", because=_WINDOW, reason="window_closed")
#: The same for a message that may wait until the person writes.
_AWAITED = Decision(verdict="defer", because=_WINDOW, reason="window_closed", wakes_on=INBOUND)
_EXPIRED = Decision(verdict="deny", because=("schedule",), reason="expired")
_BARRED = {
    reason: Decision(verdict="deny", because=(suppression.NAME,), reason=reason)
    for reason in ("opted_out", "blocked", "unreachable", "erased", "test_mode")
}


def decide_plain(  # noqa: PLR0915 - one straight run of arithmetic: calls would cost what it saves
    policy: Policy, facts: Facts, now: int, remaining: int
) -> Decision | None:
    """The decision on a plain case, the same that the general path takes; None where the case is not plain."""
    place = plain_of(policy, facts, now)
    if (
        facts.opted_out
        or facts.blocked
        or facts.unreachable
        or facts.erased
        or facts.not_allowed
        or facts.opted_out_topics
    ):
        barred = suppression.barred(facts, now)
        if barred is not None:
            return _BARRED[barred]
        if facts.confirms_opt_out:
            return None
    if facts.kill_switch or facts.page_stopped or facts.campaign_paused or facts.held or place.held:
        return None
    limit = now + HORIZON
    closes = now if facts.last_inbound is None else facts.last_inbound + policy.window
    if facts.ad_inbound is not None and (longer := after_advertisement(policy, facts)) is not None and longer > closes:
        closes = longer
    if closes > limit:
        return None
    # The grounds come to [opens, grounded), and ``later`` where tokens rest beyond the window's end.
    opens, grounded = now, closes
    later: Intervals = ()
    named: list[Grounded] | None = None
    if facts.template_approved and facts.category in policy.utility_categories:
        grounded = limit
    elif facts.tokens and place.carriers:
        named = on_tokens(place.carriers, facts, now, limit)
        if named is None:
            return None
        if named:
            opens, grounded, later = _together(named, now, closes)
    gap = cap = begin = wait = now
    if facts.sends or facts.planned:
        rested = resting(place, facts.sends, facts.planned, now)
        if rested is None:
            return None
        gap, cap = rested
        begin = gap if gap > cap else cap
    agreed = end = horizon = limit
    if place.asked:
        until = consented(place, facts, now, limit)
        if until is None:
            return None
        agreed = end = until
    not_before, expires_at = facts.not_before, facts.expires_at
    if not_before is not None and not_before > begin:
        begin = not_before
    if expires_at is not None:
        if expires_at <= now:
            return _EXPIRED
        if expires_at < end:
            end = expires_at
        if expires_at < horizon:
            horizon = expires_at
    sooner = begin
    if facts.handover:
        if facts.handover_at is None or policy.handover_timeout is None:
            return None
        wait = facts.handover_at + policy.handover_timeout
        if wait > begin:
            begin = wait
    if place.lifting and any(each.kind in place.lifting for each in facts.consents):
        return None
    timeline = place.timeline
    if place.uncertain and timeline is not None and not timeline.opens(now, horizon, remaining):
        return None
    if grounded <= now:
        # No ground at all, the plainest of denials: relaxing any other rule could not help.
        if end - sooner > remaining if timeline is None else timeline.opens(sooner, end, remaining):
            return _AWAITED if facts.may_wait and policy.window > remaining else _CLOSED
        found = None
    else:
        first, last = (begin if begin > opens else opens), (end if end < grounded else grounded)
        if timeline is not None:
            found = timeline.first(first, last, remaining)
        else:
            found = (first, last, last) if last - first > remaining else None
        if later:
            found = _further(timeline, later, begin, end, remaining, found)
    if found is not None:
        at, closes_at, deadline = found
        if named:
            ground = _ground(named, at, remaining)
        else:
            ground = "standard_window" if at + remaining < closes else "utility_template"
        if at == now:
            return Decision(verdict="send", at=now, ground=ground, closes_at=closes_at, deadline=deadline)
        if first == now and last > now + remaining:
            # All but the hours permit.
            return Decision(
                verdict="defer", at=at, ground=ground, closes_at=closes_at, deadline=deadline, because=_QUIET,
                reason=_reason(policy, facts, place, now, remaining, _QUIET),
            )  # fmt: skip
    elif later:
        # Several stretches, to be relaxed together.
        return None
    # Who may be to blame, by precedence: those that do not always permit.
    spans: list[Span] = []
    if agreed < limit:
        spans.append(("consent", now, agreed))
    spans.append(("messaging_window", opens, grounded))
    if not_before is not None or expires_at is not None:
        spans.append(("schedule", now if not_before is None else not_before, horizon))
    if wait > now:
        spans.append(("handover", wait, limit))
    if gap > now:
        spans.append(("minimum_gap", gap, limit))
    if cap > now:
        spans.append(("frequency_cap", cap, limit))
    asked = now + remaining + 1
    if (
        found is None
        and wait > now < grounded
        and (held := _first(timeline, max(sooner, opens), last, remaining)) is not None
    ):
        # It times out too late, but the person may hand the conversation back before.
        because = shut(spans, timeline, now, asked)
        reason = _reason(policy, facts, place, now, remaining, because)
        return Decision(
            verdict="defer", deadline=held[2], because=because, reason=reason, wakes_on=handover.WAKES_ON
        )  # fmt: skip
    if found is None:
        # A handover only ever defers, because the conversation may be handed back: a denial is blamed without it.
        spans = [each for each in spans if each[0] != handover.NAME]
        because = helpful = relaxable(spans, timeline, now, limit, remaining)
        if not because:
            because = alone(spans, timeline, now, max(horizon, now + remaining + 1), remaining)
            if not because:
                return None
        code = code_of(because, bool(helpful), timeline, opens, min(grounded, horizon), cap, remaining)
        reason = code or _reason(policy, facts, place, now, remaining, because)
        if facts.may_wait and "messaging_window" in helpful and policy.window > remaining:
            return Decision(verdict="defer", because=because, reason=reason, wakes_on=INBOUND)
        if facts.may_wait and consent.NAME in because and not place.placed:
            # Which of the possible places asks for it?
            return None
        return Decision(verdict="deny", because=because, reason=reason)
    because = shut(spans, timeline, now, asked)
    return Decision(
        verdict="defer", at=at, ground=ground, closes_at=closes_at, deadline=deadline, because=because,
        reason=_reason(policy, facts, place, now, remaining, because),
        wakes_on=handover.WAKES_ON if wait > now else None,
    )  # fmt: skip


def _together(named: list[Grounded], now: int, closes: int) -> tuple[int, int, Intervals]:
    """The first stretch of the tokens' grounds with the window's, which is put before them, and the later ones."""
    if closes > now:
        named.insert(0, (now, closes, "standard_window"))
    if len(named) == 1:
        return named[0][0], named[0][1], ()
    stretches = union([(begin, end) for begin, end, _ in named])
    return (*stretches[0], stretches[1:])


def _further(
    timeline: Timeline | None, later: Intervals, begin: int, end: int, remaining: int, found: Opening | None
) -> Opening | None:
    """What was found, and what the later stretches of the grounds add."""
    for start, stop in later:
        if (more := _first(timeline, max(begin, start), min(end, stop), remaining)) is not None:
            found = more if found is None else (found[0], found[1], more[2])
    return found


def _first(timeline: Timeline | None, begin: int, end: int, remaining: int) -> Opening | None:
    if timeline is not None:
        return timeline.first(begin, end, remaining)
    return (begin, end, end) if end - begin > remaining else None


def _ground(named: list[Grounded], at: int, remaining: int) -> str:
    """The preferred ground that holds at this instant and for as long after it as is asked for."""
    holding = [(end, ground) for begin, end, ground in named if begin <= at < end]
    return next((ground for end, ground in holding if at + remaining < end), holding[0][1])


def _reason(policy: Policy, facts: Facts, place: Plain, now: int, remaining: int, because: tuple[str, ...]) -> str:
    """The code of the first of the blamed rules."""
    first = because[0]
    if first in _CODES:
        return _CODES[first]
    if first == "schedule":
        return "expired" if facts.not_before is None or facts.not_before <= now else "not_before"
    if first == "quiet_hours":
        if not place.closing:
            return first
        # It may be a closed day; the rule knows.
        return quiet_hours.RULE.reason(Case(policy, facts, binding_of(policy, facts), now, remaining))
    if not facts.consents:
        return "no_consent"
    return consent.RULE.reason(Case(policy, facts, binding_of(policy, facts), now, remaining))
