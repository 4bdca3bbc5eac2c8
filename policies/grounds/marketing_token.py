"""A token of the paid Marketing Messages API: promotional messages, one a person and page in so many hours.

It rests after every message on this ground, whatever the topic, and reaches nobody in the regions that the platform
pack excludes. A country that is not known does not hinder.
"""

from __future__ import annotations

from policies.case import Case
from policies.facts import Facts
from policies.grounds.tokens import alive, available, ground_on_tokens, serving
from policies.intervals import NEVER, Intervals, intersect, subtract, union
from policies.platform_pack import TokenTerms

NAME = "marketing_token"
KIND = "marketing"


def _times(case: Case) -> Intervals:
    tokens = serving(case, KIND)
    if not tokens:
        return NEVER
    held = union(stretch for token in tokens for stretch in alive(case, token))
    used = uses(case.facts)
    return union(
        stretch
        for period, rest in available(case, _terms(case))
        for stretch in subtract(intersect(held, period), union((at, at + rest) for at in used))
    )


def uses(facts: Facts) -> list[int]:
    """When messages went to the contact on this ground, epoch seconds."""
    sent = [send.at for send in facts.sends if send.ground == NAME]
    return sent + [
        token.last_used_at for token in facts.tokens if token.kind == KIND and token.last_used_at is not None
    ]


def _terms(case: Case) -> TokenTerms:
    return case.policy.platform.marketing


GROUND = ground_on_tokens(NAME, KIND, "marketing token", _terms, _times)
