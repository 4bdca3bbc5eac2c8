"""A utility template that the platform approved may go at any time. Source: the platform pack."""

from __future__ import annotations

from policies.case import Case
from policies.grounds.ground import Ground
from policies.intervals import NEVER, Intervals


def _times(case: Case) -> Intervals:
    approved = case.facts.template_approved and case.facts.category in case.policy.utility_categories
    return case.whole if approved else NEVER


GROUND = Ground("utility_template", _times)
