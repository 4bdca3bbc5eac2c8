"""A one-time notification: one promotional message, on the topic that the person asked about where they named one."""

from __future__ import annotations

from policies.case import Case
from policies.grounds.tokens import alive, available, ground_on_tokens, serving
from policies.intervals import NEVER, Intervals, intersect, union
from policies.platform_pack import TokenTerms

NAME = "one_time_token"
KIND = "one_time"


def _times(case: Case) -> Intervals:
    unused = [token for token in serving(case, KIND) if token.last_used_at is None]
    if not unused:
        return NEVER
    held = union(stretch for token in unused for stretch in alive(case, token))
    return union(stretch for period, _ in available(case, _terms(case)) for stretch in intersect(held, period))


def _terms(case: Case) -> TokenTerms:
    return case.policy.platform.one_time


GROUND = ground_on_tokens(NAME, KIND, "one-time token", _terms, _times)
