"""A token of the free recurring notifications: promotional messages, one a token in so many hours.

Since a date in the platform pack only in the regions where the paid tokens do not reach; a country that is not known is
none of them.
"""

from __future__ import annotations

from policies.case import Case
from policies.grounds.tokens import alive, available, ground_on_tokens, serving
from policies.intervals import NEVER, Intervals, intersect, subtract, union
from policies.platform_pack import TokenTerms

NAME = "recurring"
KIND = "recurring"


def _times(case: Case) -> Intervals:
    tokens = serving(case, KIND)
    if not tokens:
        return NEVER
    found: list[tuple[int, int]] = []
    for period, rest in available(case, _terms(case)):
        for token in tokens:
            used = token.last_used_at
            resting: Intervals = NEVER if used is None else ((used, used + rest),)
            found += subtract(intersect(alive(case, token), period), resting)
    return union(found)


def _terms(case: Case) -> TokenTerms:
    return case.policy.platform.recurring


GROUND = ground_on_tokens(NAME, KIND, "recurring token", _terms, _times)
