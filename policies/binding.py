"""What binds messages of one category to contacts of one place under one policy. Worked out once, then looked up."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.facts import Facts
from policies.law import binding_caps, binding_hours
from policies.local_time import CHUNK, distinct_zones
from policies.places import place_of
from policies.policy import BindingKey, Policy
from policies.terms import Cap, Gap, Hours, binds
from policies.timeline import Timeline, build_timeline

_MEMORY = 20_000

_timelines: dict[tuple[tuple[str, ...], tuple[Hours, ...], int, bool], Timeline] = {}


@dataclass(slots=True, kw_only=True)
class Binding:
    """The rules that bind, and the zones in which local ones are judged."""

    #: Candidate zones; where there are several, what is permitted is permitted in all of them.
    zones: tuple[str, ...]
    #: What names them: "timezone", "region", "utc_offset", "country", "none", or "fallback".
    evidence: str
    jurisdictions: tuple[str, ...]
    hours: tuple[Hours, ...]
    rolling: tuple[Cap, ...]
    calendar: tuple[Cap, ...]
    gaps: tuple[Gap, ...]
    #: The zone matters: some hours or a calendar cap bind, and there is more than one candidate.
    uncertain: bool
    #: The zone matters and the policy says to wait until it is known.
    held: bool
    _timelines: dict[int, Timeline] = field(default_factory=dict, repr=False)

    def timeline(self, now: int) -> Timeline:
        """When the hours permit, from ``now`` to beyond the horizon of any decision taken at ``now``."""
        chunk = now // CHUNK
        found = self._timelines.get(chunk)
        if found is None:
            if len(self._timelines) >= 64:
                self._timelines.clear()
            found = self._timelines[chunk] = _shared(self.zones, self.hours, chunk, self.held)
        return found


def binding_of(policy: Policy, facts: Facts) -> Binding:
    """What binds this message under the policy. Raises LookupError for a zone that tzdata has not."""
    key: BindingKey = (facts.timezones, facts.utc_offset, facts.region, facts.country, facts.category)
    found = policy.bindings.get(key)
    if found is None:
        if len(policy.bindings) >= _MEMORY:
            policy.bindings.clear()
        found = policy.bindings[key] = _bind(policy, facts)
    return found


def _bind(policy: Policy, facts: Facts) -> Binding:
    place = place_of(facts)
    zones, evidence = place.zones, place.evidence
    if evidence == "none" and policy.unknown_zone.mode == "fallback":
        zones, evidence = distinct_zones((policy.unknown_zone.zone,)), "fallback"
    hours, caps = list(policy.hours), list(policy.caps)
    for code in place.jurisdictions:
        hours += binding_hours(code, policy.jurisdictions)
        caps += binding_caps(code, policy.jurisdictions)
    category = facts.category
    bound_hours = tuple(each for each in hours if binds(each.applies_to, category))
    bound_caps = [each for each in caps if binds(each.applies_to, category)]
    calendar = tuple(each for each in bound_caps if each.calendar)
    uncertain = len(zones) > 1 and bool(bound_hours or calendar)
    return Binding(
        zones=zones,
        evidence=evidence,
        jurisdictions=place.jurisdictions,
        hours=bound_hours,
        rolling=tuple(each for each in bound_caps if not each.calendar),
        calendar=calendar,
        gaps=tuple(each for each in policy.gaps if binds(each.applies_to, category)),
        uncertain=uncertain,
        held=uncertain and policy.unknown_zone.mode == "hold",
    )


def _shared(zones: tuple[str, ...], hours: tuple[Hours, ...], chunk: int, anywhere: bool) -> Timeline:
    # Many places have the same zones and hours; their timelines are the same object.
    key = (zones, hours, chunk, anywhere)
    found = _timelines.get(key)
    if found is None:
        if len(_timelines) >= _MEMORY:
            _timelines.clear()
        found = _timelines[key] = build_timeline(zones, hours, chunk, anywhere=anywhere)
    return found
