"""What the grounds on tokens share: which tokens serve a message, and where and when the platform lets them.

Source: the platform pack. A rule that changes on a date is computed for the instants it holds at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policies.case import Case
from policies.facts import Token
from policies.grounds.ground import Ground
from policies.intervals import Intervals
from policies.platform_pack import TokenTerms


def ground_on_tokens(
    name: str, kind: str, called: str, terms: Callable[[Case], TokenTerms], times: Callable[[Case], Intervals]
) -> Ground:
    """The ground that tokens of one kind give, ``called`` so among people."""
    return Ground(
        name, times, lambda case: _words(case, kind, called, terms(case), times), lambda case: terms(case).citation
    )


def serving(case: Case, kind: str) -> list[Token]:
    """The contact's tokens of this kind that serve the message's topic: their own, or any where they have none."""
    return [each for each in case.facts.tokens if each.kind == kind and each.topic in (None, case.facts.topic)]


def alive(case: Case, token: Token) -> Intervals:
    """From now until the token expires, at most 30 days."""
    start, limit = case.whole[0]
    end = limit if token.expires_at is None else min(token.expires_at, limit)
    return ((start, end),) if start < end else ()


def available(case: Case, terms: TokenTerms) -> Iterator[tuple[Intervals, int]]:
    """The stretches of time in which the platform takes such tokens of this contact, each with the rest after a use."""
    start, limit = case.whole[0]
    for since, until, rest in reach(terms, case.facts.category, case.binding.countries):
        begins = start if since is None else max(start, since)
        ends = limit if until is None else min(limit, until)
        if begins < ends:
            yield ((begins, ends),), rest


def reach(terms: TokenTerms, category: str, countries: tuple[str, ...]) -> Iterator[tuple[int | None, int | None, int]]:
    """The same without an end: since when (None: ever), until when (None: for good), seconds of rest after a use."""
    if category not in terms.categories or not terms.unavailable_in.isdisjoint(countries):
        return
    for period in terms.periods:
        if period.only_in is None or (countries and period.only_in.issuperset(countries)):
            yield period.since, period.until, period.rest if period.rest is not None else terms.rest or 0
    if not terms.periods:
        yield None, None, terms.rest or 0


def _words(case: Case, kind: str, called: str, terms: TokenTerms, times: Callable[[Case], Intervals]) -> str | None:
    held = [token for token in case.facts.tokens if token.kind == kind]
    if not held:
        return None
    if case.facts.category not in terms.categories:
        return f"the {called} carries {' and '.join(terms.categories)} messages alone"
    served = serving(case, kind)
    if not served:
        return f"the {called} is for another topic"
    ended = [token.expires_at for token in served if token.expires_at is not None and token.expires_at <= case.now]
    if len(ended) == len(served):
        return f"the {called} expired at {case.shown(max(ended))}"
    found = times(case)
    if found and found[0][0] > case.now:
        return f"the {called} rests until {case.shown(found[0][0])}"
    if found:
        until = "" if found[0][1] >= case.whole[0][1] else f" until {case.shown(found[0][1])}"
        return f"the {called} serves{until}"
    if not any(available(case, terms)):
        where = f"in {', '.join(case.binding.countries)}" if case.binding.countries else "whose country is not known"
        return f"the {called} does not reach people {where}"
    return f"the {called} was used, or is for another topic"
