"""The hours to come: when a message may go, and what stands in the way in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from policies.blame import closed_now, reason_of
from policies.case import HORIZON, Case, case_of
from policies.decision import Decision
from policies.engine import broken_rule, decide, open_ended
from policies.facts import Facts
from policies.grounds import GROUNDS
from policies.policy import Policy
from policies.rules import messaging_window, schedule, suppression, unknown_zone
from policies.rules.holds import HOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of time, [start, end) in epoch seconds UTC, throughout which the answer is the same."""

    start: int
    end: int
    permitted: bool
    #: Why it may be sent; None where it may not.
    ground: str | None
    #: The rules that do not permit then, by precedence; empty where all do.
    because: tuple[str, ...]
    #: The code of the first of them.
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The decision now, and the stretches that follow one another without a gap, each different from the next."""

    decision: Decision
    stretches: tuple[Stretch, ...]


def forecast(policy: Policy, facts: Facts, now: int, *, span: int = 48 * 3600, min_remaining: int = 0) -> Forecast:
    """What may be sent when, from ``now`` for ``span`` seconds, at most 30 days, if the facts stay as they are.

    A message may go at an instant where it would stay permitted for ``min_remaining`` more seconds. A rule that raises
    permits nothing, as in a decision. Raises ValueError for a span out of bounds.
    """
    if not 0 < span <= HORIZON:
        raise ValueError(f"a forecast looks ahead for 1 to {HORIZON} seconds, not {span}")
    decision = decide(policy, facts, now, min_remaining=min_remaining)
    try:
        stretches = _stretches(case_of(policy, facts, now, min_remaining), now + span)
    except Exception:  # whatever a rule raises, nothing may be sent on its account
        stretches = [_broken(policy, facts, now, now + span, min_remaining)]
    return Forecast(decision=decision, stretches=tuple(_joined(stretches)))


def _stretches(case: Case, end: int) -> list[Stretch]:
    barred = suppression.barred(case.facts, case.now)
    if barred is not None:
        return [_shut(case.now, end, (suppression.NAME,), barred)]
    if schedule.expired(case):
        return [_shut(case.now, end, (schedule.NAME,), "expired")]
    if unknown_zone.impossible(case):
        return [_shut(case.now, end, (unknown_zone.NAME,), unknown_zone.NAME)]
    return [_judged(replace(case, now=start), stop) for start, stop in pairwise(_edges(case, end))]


def _edges(case: Case, end: int) -> list[int]:
    """Instants from now to ``end`` between which no rule and no ground changes its mind."""
    asked = ((case.now, end + case.remaining + 1),)
    times = [ground.times(case) for ground in GROUNDS] + [hold.narrow(case, asked) for hold in HOLDS]
    # A send that would not stay permitted for long enough is none, so that much before each end.
    found = {edge for each in times for start, stop in each for edge in (start, stop - case.remaining)}
    return sorted({case.now, end, *(edge for edge in found if case.now < edge < end)})


def _judged(case: Case, end: int) -> Stretch:
    try:
        return _stretch(case, end)
    except Exception:  # only from here on is nothing known
        return _broken(case.policy, case.facts, case.now, end, case.remaining)


def _stretch(case: Case, end: int) -> Stretch:
    barred = suppression.barred(case.facts, case.now)
    if barred is not None:
        return _shut(case.now, end, (suppression.NAME,), barred)
    if schedule.expired(case):
        return _shut(case.now, end, (schedule.NAME,), "expired")
    holds = open_ended(case)
    because = closed_now(case, also=tuple(holds))
    if because:
        first = because[0]
        return _shut(case.now, end, because, holds[first].reason if first in holds else reason_of(case, because))
    ground = messaging_window.ground_at(case, case.now)
    return Stretch(start=case.now, end=end, permitted=True, ground=ground, because=(), reason=None)


def _shut(start: int, end: int, because: tuple[str, ...], reason: str | None) -> Stretch:
    return Stretch(start=start, end=end, permitted=False, ground=None, because=because, reason=reason)


def _broken(policy: Policy, facts: Facts, start: int, end: int, remaining: int) -> Stretch:
    return _shut(start, end, (broken_rule(policy, facts, start, remaining),), "rule_error")


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for each in stretches:
        if joined and replace(joined[-1], start=each.start, end=each.end) == each:
            joined[-1] = replace(joined[-1], end=each.end)
        else:
            joined.append(each)
    return joined
