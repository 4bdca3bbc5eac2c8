"""What binds messages of one category to contacts of one place under one policy. Worked out once, then looked up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from policies.calendars import located
from policies.facts import Facts
from policies.law import binding_caps, binding_consent, binding_duties, binding_hours
from policies.law_terms import ConsentLaw, Duty
from policies.local_time import CHUNK, Pieces, distinct_zones, pieces, zone_names
from policies.places import Place, place_of
from policies.policy import BindingKey, Policy
from policies.stated_zones import known_zone, names_no_place
from policies.terms import Cap, Days, Gap, Hours, binds
from policies.timeline import Timeline, build_timeline

_MEMORY = 20_000

_timelines: dict[tuple[tuple[Pieces, ...], tuple[Days, ...], int, bool], Timeline] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The consent that a place asks for."""

    #: Whose law; "" where nothing tells the country.
    jurisdiction: str
    #: The kinds of consent that will do.
    kinds: tuple[str, ...]
    law: ConsentLaw | None


#: Unknown is not permitted.
_ANYWHERE = Asked(jurisdiction="", kinds=("express",), law=None)


@dataclass(slots=True, kw_only=True)
class Binding:
    """The rules that bind, and the zones in which local ones are judged."""

    #: Candidate zones; where there are several, what is permitted is permitted in all of them.
    zones: tuple[str, ...]
    #: What names them: "timezone", "region", "utc_offset", "country", "none", or "fallback".
    evidence: str
    jurisdictions: tuple[str, ...]
    #: The countries the contact may be in.
    countries: tuple[str, ...]
    #: What is odd about the evidence of the place: see ``policies.places``.
    remarks: tuple[str, ...]
    #: The consents that promotional messages need.
    consents: tuple[Asked, ...]
    #: What the laws of the place ask of whoever sends promotional messages there: told in findings, not enforced.
    duties: tuple[Duty, ...]
    hours: tuple[Hours, ...]
    rolling: tuple[Cap, ...]
    calendar: tuple[Cap, ...]
    gaps: tuple[Gap, ...]
    #: The zone matters: some hours or a calendar cap bind, and there is more than one candidate.
    uncertain: bool
    #: The zone matters and the policy says to wait until it is known.
    held: bool
    #: The gaps and the rolling caps by what they count: categories, longest gap, and each cap's limit and period.
    paces: tuple[tuple[tuple[str, ...], int, tuple[tuple[int, int], ...]], ...]
    #: A consent may lift some of the hours.
    lifted: bool
    #: Some of the hours may close a whole day.
    closing: bool
    _timelines: dict[int, Timeline] = field(default_factory=dict, repr=False)
    #: What was asked for last, nearly always the same again: for which chunk, and the answer. One object, so that
    #: threads that ask for different chunks never meet one's chunk with the other's answer.
    _latest: tuple[int, Timeline] | None = field(default=None, repr=False)
    #: What ``each_known`` found, by chunk.
    _known: dict[int, tuple[Binding, ...]] = field(default_factory=dict, repr=False)

    def timeline(self, now: int) -> Timeline:
        """When the hours permit, from ``now`` to beyond the horizon of any decision taken at ``now``."""
        chunk = now // CHUNK
        latest = self._latest
        if latest is None or latest[0] != chunk:
            found = self._timelines.get(chunk)
            if found is None:
                if len(self._timelines) >= 64:
                    self._timelines.clear()
                found = self._timelines[chunk] = shared_timeline(self.zones, self.hours, chunk, self.held)
            self._latest = latest = (chunk, found)
        return latest[1]


def binding_of(policy: Policy, facts: Facts) -> Binding:
    """What binds this message under the policy."""
    key: BindingKey = (facts.timezones, facts.utc_offset, facts.region, facts.country, facts.category)
    found = policy.bindings.get(key)
    if found is None:
        if len(policy.bindings) >= _MEMORY:
            policy.bindings.clear()
        found = policy.bindings[key] = _bind(policy, facts)
    return found


def each_known(policy: Policy, facts: Facts, now: int) -> tuple[Binding, ...]:
    """What would bind if the contact's zone were known: once for each candidate, with the laws of its own country.

    Candidates that share a clock, around ``now``, and everything that depends on the place count once. Worked out once
    a place and chunk of time.
    """
    together, chunk = binding_of(policy, facts), now // CHUNK
    memory = together._known  # noqa: SLF001 - the binding's own memory
    known = memory.get(chunk)
    if known is None:
        found: dict[object, Binding] = {}
        for zone in _every_name(facts, together):
            alone = _bind_known(policy, facts, zone)
            found.setdefault((pieces(zone, chunk), alone.consents, alone.hours, alone.rolling, alone.calendar), alone)
        if len(memory) >= 64:
            memory.clear()
        known = memory[chunk] = tuple(found.values())
    return known


def _every_name(facts: Facts, together: Binding) -> Iterable[str]:
    """The candidate zones by all their names: Oslo's clock is Berlin's by another name, but under other laws."""
    more: Iterable[str] = ()
    if together.evidence in ("none", "fallback"):
        more = zone_names()
    elif together.evidence == "timezone":
        known = (known_zone(written) for written in facts.timezones)
        more = (name for name in known if name is not None and not names_no_place(name))
    return dict.fromkeys((*together.zones, *more))


def _bind_known(policy: Policy, facts: Facts, zone: str) -> Binding:
    # A bare offset tells a clock but no country: the stated country's laws bind, if any is stated.
    named = () if known_zone(zone) is None or names_no_place(zone) else (zone,)
    alone = binding_of(policy, replace(facts, timezones=named, utc_offset=None))
    if alone.zones == (zone,):
        return alone
    return replace(alone, zones=(zone,), uncertain=False, held=False, _timelines={}, _latest=None, _known={})


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
    bound_hours = tuple(
        located(each, place.countries, place.region) for each in hours if binds(each.applies_to, category)
    )
    bound_caps = [each for each in caps if binds(each.applies_to, category)]
    calendar = tuple(each for each in bound_caps if each.calendar)
    rolling = tuple(each for each in bound_caps if not each.calendar)
    gaps = tuple(each for each in policy.gaps if binds(each.applies_to, category))
    uncertain = len(zones) > 1 and bool(bound_hours or calendar)
    held = uncertain and policy.unknown_zone.mode == "hold"
    consents = _consents(policy, place) if category == "promotional" else ()
    return Binding(
        zones=zones,
        evidence=evidence,
        jurisdictions=place.jurisdictions,
        countries=place.countries,
        remarks=place.remarks,
        consents=consents,
        duties=_duties(policy, place) if category == "promotional" else (),
        hours=bound_hours,
        rolling=rolling,
        calendar=calendar,
        gaps=gaps,
        uncertain=uncertain,
        held=held,
        paces=_paces(rolling, gaps),
        closing=any(() in each.rows or each.holiday == () or each.before_holiday is not None for each in bound_hours),
        lifted=any(each.lifted_by for each in bound_hours),
    )


def _paces(
    caps: tuple[Cap, ...], gaps: tuple[Gap, ...]
) -> tuple[tuple[tuple[str, ...], int, tuple[tuple[int, int], ...]], ...]:
    return tuple(
        (
            applies_to,
            max((gap.between for gap in gaps if gap.applies_to == applies_to), default=0),
            tuple(dict.fromkeys((cap.limit, cap.period) for cap in caps if cap.applies_to == applies_to)),
        )
        for applies_to in dict.fromkeys([*(cap.applies_to for cap in caps), *(gap.applies_to for gap in gaps)])
    )


def _consents(policy: Policy, place: Place) -> tuple[Asked, ...]:
    mode = policy.jurisdictions
    if policy.consent != "packs" or mode == "off":
        return ()
    if not place.jurisdictions:
        return (_ANYWHERE,)
    laws = ((code, binding_consent(code, mode)) for code in place.jurisdictions)
    return tuple(Asked(jurisdiction=code, kinds=law.kinds, law=law) for code, law in laws if law is not None)


def _duties(policy: Policy, place: Place) -> tuple[Duty, ...]:
    return tuple(duty for code in place.jurisdictions for duty in binding_duties(code, policy.jurisdictions))


def shared_timeline(zones: tuple[str, ...], hours: tuple[Hours, ...], chunk: int, anywhere: bool) -> Timeline:
    """``build_timeline``, remembered: places whose clocks and hours agree for the time being share the object.

    The whole world is some sixty clocks: what is looked up again and again stays near the processor.
    """
    clocks, days = dict.fromkeys(pieces(name, chunk) for name in zones), dict.fromkeys(each.days for each in hours)
    key = (tuple(clocks), tuple(days), chunk, anywhere)
    found = _timelines.get(key)
    if found is None:
        if len(_timelines) >= _MEMORY:
            _timelines.clear()
        found = _timelines[key] = build_timeline(zones, hours, chunk, anywhere=anywhere)
    return found
