"""What every rule has: its name, the times at which it permits, its reason, its findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from policies.case import Case
from policies.decision import Finding
from policies.intervals import Intervals, covers, usable
from policies.terms import Cap, Gap, Hours, binds, duration


class Hold(NamedTuple):
    """An open-ended hold: it gives no times yet, and names what ends it."""

    reason: str
    wakes_on: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the engine sees it."""

    name: str
    #: The part of the given times, none of them past the horizon, in which the rule permits.
    narrow: Callable[[Case, Intervals], Intervals]
    #: The code of why it does not.
    reason: Callable[[Case], str]
    #: What it has to say on the case, permitting or not: at least one finding.
    findings: Callable[[Case], list[Finding]]


def clause_of(key: str, entry: Hours | Cap | Gap) -> str:
    """The name of an entry's text: "permitted_hours.house" in a policy, "KR.kr-night" in a jurisdiction's pack."""
    source = None if isinstance(entry, Gap) else entry.source
    return f"{source.jurisdiction}.{entry.id}" if source else f"{key}.{entry.id}"


def planned_words(case: Case, applies_to: tuple[str, ...]) -> str:
    """What a cap or a gap counts of what is planned, such as "; campaign 3's is planned at …"; empty for nothing."""
    counted = [each for each in case.facts.planned if binds(applies_to, each.category)]
    return "".join(f"; {each.owner}'s is planned at {case.shown(each.at)}" for each in counted)


def finding(
    case: Case, rule: str, times: Intervals, *, reason: str, words: str, citation: str | None = None,
    clause: str | None = None, binds: str | None = None, **numbers: object,
) -> Finding:  # fmt: skip
    """A finding of a rule that permits at ``times`` (out of the time up to the horizon)."""
    permits = covers(times, case.now, case.remaining)
    if not permits and covers(times, case.now, 0):
        words += f"; permitted at this instant, but not for the {duration(case.remaining)} that a send must have left"
    later = usable(times, case.remaining)
    return Finding(
        rule=rule,
        clause=clause or rule,
        reason=None if permits else reason,
        permits_now=permits,
        next_at=case.now if permits else later[0][0] if later else None,
        numbers=numbers,
        citation=citation,
        binds=binds,
        words=words,
    )


def standing(
    rule: str, *, reason: str | None, words: str, clause: str | None = None, binds: str | None = None,
    **numbers: object,
) -> Finding:  # fmt: skip
    """A finding of a rule that no passing of time changes: it permits where there is no reason."""
    return Finding(
        rule=rule, clause=clause or rule, reason=reason, permits_now=reason is None, next_at=None, numbers=numbers,
        citation=None, binds=binds, words=words,
    )  # fmt: skip
