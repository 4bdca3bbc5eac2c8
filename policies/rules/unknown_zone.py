"""Where the evidence leaves more than one zone: judged first, by quiet hours and calendar caps alone.

Mode ``all_candidates``: what is permitted is permitted in every candidate; if no instant suits them all, though each
alone has some, the message can only be refused. Mode ``hold``: wait until the zone is known. Mode ``fallback`` assumes
a zone where there is no evidence at all (``policies.binding`` does), and is ``all_candidates`` otherwise.
"""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.intervals import usable
from policies.lifting import has_lifted, open_times
from policies.local_time import CHUNK, pieces
from policies.rules.frequency_cap import narrow_calendar
from policies.rules.rule import Hold, standing
from policies.timeline import build_timeline

NAME = "unknown_zone"

_SHOWN = 3


def hold(case: Case) -> Hold | None:
    """The hold, where the policy waits for the zone and the zone matters."""
    return Hold(NAME, "zone_evidence") if case.binding.held else None


def impossible(case: Case) -> bool:
    """Whether no instant before the horizon suits every candidate, though each alone has some."""
    binding = case.binding
    if not binding.uncertain or binding.held:
        return False
    if case.facts.consents and has_lifted(case):
        together = narrow_calendar(case, open_times(case, binding.zones, case.now, case.horizon), binding.zones)
        return not usable(together, case.remaining) and _each_alone(case)
    timeline, question = binding.timeline(case.now), (case.now, case.horizon, case.remaining)
    if case.facts.sends and binding.calendar:
        together = narrow_calendar(case, timeline.within(case.now, case.horizon), binding.zones)
        return not usable(together, case.remaining) and _each_alone(case)
    if timeline.opens(*question):
        return False
    # Without calendar caps the answer is the same for everyone of this place: a batch asks once.
    if timeline.impossible is None or timeline.impossible[0] != question:
        timeline.impossible = (question, _each_alone(case))
    return timeline.impossible[1]


def _each_alone(case: Case) -> bool:
    chunk = case.now // CHUNK
    for zone in {pieces(name, chunk): name for name in case.binding.zones}.values():
        hours = (
            open_times(case, (zone,), case.now, case.horizon)
            if case.facts.consents
            else build_timeline((zone,), case.binding.hours, chunk).within(case.now, case.horizon)
        )
        if not usable(narrow_calendar(case, hours, (zone,)), case.remaining):
            return False
    return True


def findings(case: Case) -> list[Finding]:
    """One finding: the candidates, and what they come to."""
    binding = case.binding
    zones = binding.zones
    numbers: dict[str, object] = {
        "zones": len(zones), "evidence": binding.evidence, "candidates": list(zones[:_SHOWN]),
        "jurisdictions": list(binding.jurisdictions), "mode": case.policy.unknown_zone.mode,
        "remarks": list(binding.remarks),
    }  # fmt: skip
    named = ", ".join(zones[:_SHOWN]) + (", …" if len(zones) > _SHOWN else "")
    possible = "1 zone is possible" if len(zones) == 1 else f"{len(zones)} zones are possible"
    where = {
        "timezone": f"the zone is stated: {named}",
        "region": f"the region lies in {named}",
        "utc_offset": f"only an offset is known: {named} are possible",
        "country": f"only the country is known: {possible} ({named})",
        "none": f"nothing tells the zone: all {len(zones)} zones are possible",
        "fallback": f"nothing tells the zone: the policy assumes {named}",
    }[binding.evidence]
    reason = None
    if hold(case):
        reason, where = NAME, f"{where}; the policy waits until it is known"
    elif impossible(case):
        reason, where = NAME, f"{where}; no instant suits them all"
    found = standing(NAME, reason=reason, words="; ".join((where, *binding.remarks)))
    found.numbers = numbers
    return [found]
