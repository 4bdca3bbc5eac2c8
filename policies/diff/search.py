"""Comparing two policies on one trial, and making what was found small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from policies.binding import binding_of
from policies.diff.difference import Counterexample
from policies.diff.trials import Trial
from policies.engine import decide, permitted
from policies.facts import Facts
from policies.intervals import NEVER, Intervals, subtract
from policies.policy import Policy

#: Facts that say where somebody is: what remains of them must still say it.
_BLANK = Facts()
_TUPLES = ("sends", "consents", "tokens", "opted_out_topics", "timezones")


def compared(old: Policy, new: Policy, trial: Trial) -> tuple[Intervals, Intervals]:
    """The instants that the old policy alone permits, and those that the new one alone does."""
    before, after = permitted(old, trial.facts, trial.now), permitted(new, trial.facts, trial.now)
    if before == after:
        return NEVER, NEVER
    return subtract(before, after), subtract(after, before)


def no_longer(old: Policy, new: Policy, trial: Trial) -> Counterexample | None:
    """Something that the old policy sends and the new one does not, at the first such instant; None: there is none."""
    lost, _ = compared(old, new, trial)
    if not lost:
        return None
    found = _judged(old, new, trial.facts, lost[0][0])
    # The sets of times found it; the decisions themselves must say so too.
    return found if found.old.verdict == "send" != found.new.verdict else None


def newly(old: Policy, new: Policy, trial: Trial) -> Counterexample | None:
    """Something that the new policy sends and the old one did not."""
    found = no_longer(new, old, trial)
    return found and Counterexample(facts=found.facts, at=found.at, old=found.new, new=found.old)


def otherwise(old: Policy, new: Policy, trial: Trial) -> Counterexample | None:
    """The same permission, for another reason or ground, or with another wait."""
    found = _judged(old, new, trial.facts, trial.now)
    return found if _said(found.old) != _said(found.new) else None


def shrunk(
    find: Callable[[Policy, Policy, Trial], Counterexample | None], old: Policy, new: Policy, trial: Trial
) -> Counterexample:
    """The counterexample that ``find`` finds in this trial, with every fact left out that it does not need."""
    best = find(old, new, trial)
    assert best is not None  # it was found in this trial before
    facts = trial.facts
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(facts):
            if not all(_as_certain(policy, facts, candidate) for policy in (old, new)):
                continue
            found = find(old, new, Trial(candidate, trial.now))
            if found is not None:
                best, facts, smaller = found, candidate, True
                break
    return best


def _smaller(facts: Facts) -> list[Facts]:
    candidates = []
    for each in fields(Facts):
        value, blank = getattr(facts, each.name), getattr(_BLANK, each.name)
        if value == blank:
            continue
        values = [blank]
        if each.name in _TUPLES:
            if len(value) > 3:
                values += [value[: len(value) // 2], value[len(value) // 2 :]]
            values += [(*value[:place], *value[place + 1 :]) for place in range(len(value))]
        candidates += [replace(facts, **{each.name: smaller}) for smaller in values]
    return candidates


def _as_certain(policy: Policy, before: Facts, after: Facts) -> bool:
    """Whether no more zones are possible than before: a place nobody knows is not simpler to read."""
    if (before.timezones, before.country, before.region, before.utc_offset) == (
        after.timezones, after.country, after.region, after.utc_offset,
    ):  # fmt: skip
        return True
    one, other = binding_of(policy, before), binding_of(policy, after)
    return len(other.zones) <= len(one.zones) or not (other.hours or other.calendar)


def _judged(old: Policy, new: Policy, facts: Facts, at: int) -> Counterexample:
    return Counterexample(facts=facts, at=at, old=decide(old, facts, at), new=decide(new, facts, at))


def _said(decision: object) -> tuple[object, ...]:
    return tuple(getattr(decision, name) for name in ("verdict", "ground", "because", "reason", "wakes_on"))
