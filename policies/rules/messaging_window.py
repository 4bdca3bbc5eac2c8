"""The grounds, taken together: outside all of them the platform does not let a message through."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.grounds import GROUNDS, standard_window
from policies.intervals import NEVER, Intervals, intersect, union
from policies.rules.rule import Rule, finding
from policies.terms import duration

NAME = "messaging_window"


def grounded(case: Case) -> Intervals:
    """The times from now on at which some ground holds."""
    found: Intervals = NEVER
    for ground in GROUNDS:
        times = ground.times(case)
        if times:
            found = union((*found, *times)) if found else times
    return found


def ground_at(case: Case, at: int) -> str | None:
    """The preferred ground that holds at this instant and for as long after it as is asked for."""
    fallback = None
    for ground in GROUNDS:
        for start, end in ground.times(case):
            if start <= at < end:
                if at + case.remaining < end:
                    return ground.name
                fallback = fallback or ground.name
    return fallback


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which some ground holds."""
    return intersect(times, grounded(case))


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return "window_closed"


def _findings(case: Case) -> list[Finding]:
    facts, policy = case.facts, case.policy
    closes = standard_window.closes_at(case)
    early = f" ({duration(policy.margin)} early, as the policy asks)" if policy.margin else ""
    if closes is None:
        words = "the person has never written, so no messaging window is open"
    else:
        words = f"the messaging window {'closes' if closes > case.now else 'closed'} at {case.shown(closes)}{early}"
    citation = policy.window_citation
    if facts.category in policy.utility_categories:
        if facts.template_approved:
            words += "; the approved utility template may go at any time"
            citation = policy.utility_citation
        else:
            words += "; the message has no approved utility template"
    return [
        finding(
            case, NAME, grounded(case), reason="window_closed", words=words, citation=citation,
            last_inbound=facts.last_inbound, closes_at=closes, window=policy.window, margin=policy.margin,
            template_approved=facts.template_approved, ground=ground_at(case, case.now),
        )
    ]  # fmt: skip


RULE = Rule(NAME, narrow, _reason, _findings)
