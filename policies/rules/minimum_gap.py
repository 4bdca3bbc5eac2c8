"""A pause after each send."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.intervals import Intervals, subtract, union
from policies.rules.rule import Rule, clause_of, finding, planned_words, standing
from policies.terms import Gap, binds, duration

NAME = "minimum_gap"


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those that are far enough from every send that counts, and from what is planned."""
    if case.facts.sends or case.facts.planned:
        for gap in case.binding.gaps:
            times = subtract(times, _closed(case, gap))
    return times


def _closed(case: Case, gap: Gap) -> Intervals:
    facts, between = case.facts, gap.between
    sends = ((send.at, send.at + between) for send in facts.sends if binds(gap.applies_to, send.category))
    # What goes shortly before a planned message would be in that one's way.
    planned = (
        (each.at - between + 1, each.at + between) for each in facts.planned if binds(gap.applies_to, each.category)
    )
    return union((*sends, *planned))


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return "minimum_gap"


def _findings(case: Case) -> list[Finding]:
    found = []
    for gap in case.binding.gaps:
        last = max((send.at for send in case.facts.sends if binds(gap.applies_to, send.category)), default=None)
        words = f"{gap.id}: at least {duration(gap.between)} between messages; "
        words += "none was sent lately" if last is None else f"the last went at {case.shown(last)}"
        words += planned_words(case, gap.applies_to)
        found.append(
            finding(
                case, NAME, subtract(case.whole, _closed(case, gap)), reason=NAME, words=words,
                clause=clause_of(NAME, gap), binds="house",
                id=gap.id, between=gap.between, last_send=last,
            )
        )  # fmt: skip
    return found or [standing(NAME, reason=None, words="no gap between messages is asked for")]


RULE = Rule(NAME, narrow, _reason, _findings)
