"""What the short way needs to know of a place: little, and one object for all the places that are alike.

People of all the world's zones come mixed. Their bindings are some hundreds of objects of many parts; what matters in
nearly every decision is some sixty small ones, which stay near the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from policies.binding import Asked, Binding, binding_of
from policies.facts import Facts
from policies.grounds import marketing_token, one_time_token, recurring
from policies.grounds.tokens import reach
from policies.local_time import CHUNK
from policies.policy import PlainKey, Policy
from policies.timeline import Timeline

_MEMORY = 20_000

_shared: dict[Plain, Plain] = {}


class Carrier(NamedTuple):
    """A ground on tokens that may carry the message, from ``since`` until ``until`` (None: always, for good)."""

    ground: str
    kind: str
    since: int | None
    until: int | None
    #: Seconds that it rests after a use.
    rest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What of a binding the short way reads, for one chunk of time. A value, and shared."""

    #: None: no hours bind.
    timeline: Timeline | None
    #: There are hours, and several candidate zones.
    uncertain: bool
    #: Somebody named their zone, and one alone: what binds there will not change by word of the place.
    placed: bool
    #: The policy waits until the zone is known.
    held: bool
    #: Calendar caps bind.
    calendar: bool
    #: Some of the hours may close a whole day.
    closing: bool
    #: The consents that the message needs.
    asked: tuple[Asked, ...]
    #: The kinds of consent that lift some of the hours.
    lifting: tuple[str, ...]
    #: As in ``Binding``.
    paces: tuple[tuple[tuple[str, ...], int, tuple[tuple[int, int], ...]], ...]
    #: The grounds on tokens, the preferred first.
    carriers: tuple[Carrier, ...]


def plain_of(policy: Policy, facts: Facts, now: int) -> Plain:
    """What binds this message, in short."""
    key: PlainKey = (facts.timezones, facts.utc_offset, facts.region, facts.country, facts.category, now // CHUNK)
    found = policy.plains.get(key)
    if found is None:
        if len(policy.plains) >= _MEMORY:
            policy.plains.clear()
        if len(_shared) >= _MEMORY:
            _shared.clear()
        found = _plain(policy, facts, binding_of(policy, facts), now)
        found = policy.plains[key] = _shared.setdefault(found, found)
    return found


def _plain(policy: Policy, facts: Facts, binding: Binding, now: int) -> Plain:
    platform = policy.platform
    grounds = (
        (marketing_token.NAME, marketing_token.KIND, platform.marketing),
        (recurring.NAME, recurring.KIND, platform.recurring),
        (one_time_token.NAME, one_time_token.KIND, platform.one_time),
    )
    return Plain(
        timeline=binding.timeline(now) if binding.hours else None,
        uncertain=binding.uncertain and bool(binding.hours),
        placed=binding.evidence == "timezone" and len(binding.zones) == len(facts.timezones) == 1,
        held=binding.held,
        calendar=bool(binding.calendar),
        closing=binding.closing,
        asked=binding.consents,
        lifting=tuple(dict.fromkeys(each.lifted_by for each in binding.hours if each.lifted_by)),
        paces=binding.paces,
        carriers=tuple(
            Carrier(name, kind, since, until, rest)
            for name, kind, terms in grounds
            for since, until, rest in reach(terms, facts.category, binding.countries)
        ),
    )
