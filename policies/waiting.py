"""What a denied message may wait for: the person's next message to us, or word of where they are.

Only for messages that may wait (``Facts.may_wait``). A denial that time cannot lift stays one: where the message would
find no permitted time although the person wrote, or their zone were known, it is denied.
"""

from __future__ import annotations

from dataclasses import replace

from policies.binding import each_known
from policies.case import Case
from policies.intervals import Intervals, usable
from policies.rules import consent, handover, messaging_window, unknown_zone
from policies.rules.holds import HOLDS

#: What ends the waiting.
INBOUND = "inbound"
ZONE = "zone_evidence"


def awaited(case: Case, because: tuple[str, ...]) -> str | None:
    """What a message that is denied ``because`` of these rules may wait for; None: nothing, the denial stands.

    ``inbound``: something would be left if the person wrote, now or at any time before the horizon. ``zone_evidence``:
    something would be left if one of the candidate zones were known to be theirs, with the laws of that place alone,
    and they wrote where no ground holds. Of the blamed rules it is the unknown zone that this lifts, and a consent that
    the laws of all the candidate places together ask for, or an unknown country does.
    A conversation of the team may be handed back until then, so it is in nobody's way.
    """
    if not case.facts.may_wait or case.policy.window <= case.remaining:
        return None
    if because == (unknown_zone.NAME,):
        return ZONE if _left_in_some_place(case) else None
    # A window that opens at whatever instant suits: the same as a ground that always holds.
    if messaging_window.NAME in because and _left(case):
        return INBOUND
    return ZONE if consent.NAME in because and _left_in_some_place(case) else None


def _left_in_some_place(case: Case) -> bool:
    apart = each_known(case.policy, case.facts, case.now)
    return any(_left(replace(case, binding=known)) for known in apart)


def _left(case: Case) -> bool:
    times: Intervals = case.whole
    for hold in HOLDS:
        if not times:
            return False
        if hold.name != handover.NAME:
            times = hold.narrow(case, times)
    return bool(usable(times, case.remaining))
