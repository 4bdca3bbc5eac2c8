"""A utility template that the platform approved may go at any time. Source: the platform pack."""

from __future__ import annotations

from policies.case import Case
from policies.grounds.ground import Ground
from policies.intervals import NEVER, Intervals


def _times(case: Case) -> Intervals:
    approved = case.facts.template_approved and case.facts.category in case.policy.utility_categories
    return case.whole if approved else NEVER


def _words(case: Case) -> str | None:
    if case.facts.category not in case.policy.utility_categories:
        return None
    if case.facts.template_approved:
        return "the approved utility template may go at any time"
    return "the message has no approved utility template"


def _citation(case: Case) -> str:
    return case.policy.utility_citation


GROUND = Ground("utility_template", _times, _words, _citation)
