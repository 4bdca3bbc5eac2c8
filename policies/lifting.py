"""Hours that a consent lifts: South Korea's night, for whoever agreed to be written to in it.

Without such a consent everything is read off the one timeline of a binding; this is the way around for the few others.
"""

from __future__ import annotations

from policies.binding import shared_timeline
from policies.case import Case
from policies.intervals import NEVER, Interval, Intervals, intersect, union
from policies.law import jurisdiction_pack
from policies.local_time import CHUNK
from policies.terms import Hours


def lifted(case: Case, hours: Hours) -> Intervals:
    """When a consent of the person lifts these hours for the message. Ends as an express consent does there."""
    if not hours.lifted_by or hours.source is None:
        return NEVER
    pack = jurisdiction_pack(hours.source.jurisdiction)
    law = pack.consent if pack else None
    found: list[Interval] = []
    for consent in case.facts.consents:
        if consent.kind != hours.lifted_by or consent.topic not in (None, case.facts.topic):
            continue
        end = law.end_of(consent.kind, consent.granted_at, consent.expires_at) if law else consent.expires_at
        far = case.now + case.remaining + CHUNK * 8
        found.append((consent.granted_at, far if end is None else end))
    return union((start, end) for start, end in found if start < end)


def has_lifted(case: Case) -> bool:
    """Whether a consent of the person can lift any of the hours that bind."""
    return bool(case.facts.consents) and any(lifted(case, each) for each in case.binding.hours if each.lifted_by)


def open_times(case: Case, zones: tuple[str, ...], start: int, end: int, *, anywhere: bool = False) -> Intervals:
    """When the hours, save where they are lifted, permit in every one of the zones (``anywhere``: in one of them)."""
    if anywhere:
        return union(piece for zone in zones for piece in open_times(case, (zone,), start, end))
    chunk = case.now // CHUNK
    fixed = tuple(each for each in case.binding.hours if not each.lifted_by)
    found = shared_timeline(zones, fixed, chunk, False).within(start, end)
    for each in case.binding.hours:
        if each.lifted_by:
            alone = shared_timeline(zones, (each,), chunk, False).within(start, end)
            found = intersect(found, union((*alone, *lifted(case, each))))
    return found
