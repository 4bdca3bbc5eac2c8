"""The standard messaging window: for some hours after the person last wrote, anything may be sent.

Source: the platform pack; the house's margin closes it early.
"""

from __future__ import annotations

from policies.case import Case
from policies.grounds.ground import Ground
from policies.intervals import NEVER, Intervals


def closes_at(case: Case) -> int | None:
    """When the window closes, or closed; None where the person never wrote. Epoch seconds."""
    last_inbound = case.facts.last_inbound
    return None if last_inbound is None else last_inbound + case.policy.window


def _times(case: Case) -> Intervals:
    # An inbound a little ahead of our clock has happened all the same: the window is open.
    end = closes_at(case)
    return NEVER if end is None or end <= case.now else ((case.now, end),)


GROUND = Ground("standard_window", _times)
