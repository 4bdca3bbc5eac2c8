"""The standard messaging window: for some hours after the person last wrote, anything may be sent.

The first message after a click on a Click-to-Messenger advertisement may open it for longer, where the policy relies on
that. Source: the platform pack; the house's margin closes it early.
"""

from __future__ import annotations

from policies.case import Case
from policies.facts import Facts
from policies.grounds.ground import Ground
from policies.intervals import NEVER, Intervals
from policies.policy import Policy
from policies.terms import duration


def closes_at(case: Case) -> int | None:
    """When the window closes, or closed; None where the person never wrote. Epoch seconds."""
    last_inbound = case.facts.last_inbound
    closes = None if last_inbound is None else last_inbound + case.policy.window
    longer = after_advertisement(case.policy, case.facts)
    return longer if closes is None or (longer is not None and longer > closes) else closes


def after_advertisement(policy: Policy, facts: Facts) -> int | None:
    """When the longer window after an advertisement closes, where the policy relies on it and the person wrote so."""
    wrote = facts.ad_inbound
    if not policy.click_to_messenger or wrote is None or wrote < policy.platform.click_to_messenger_since:
        return None
    return wrote + policy.platform.click_to_messenger - policy.margin


def _times(case: Case) -> Intervals:
    # An inbound a little ahead of our clock has happened all the same: the window is open.
    end = closes_at(case)
    return NEVER if end is None or end <= case.now else ((case.now, end),)


def _words(case: Case) -> str:
    closes = closes_at(case)
    if closes is None:
        return "the person has never written, so no messaging window is open"
    early = f" ({duration(case.policy.margin)} early, as the policy asks)" if case.policy.margin else ""
    words = f"the messaging window {'closes' if closes > case.now else 'closed'} at {case.shown(closes)}{early}"
    if closes == after_advertisement(case.policy, case.facts):
        words += f", {duration(case.policy.platform.click_to_messenger)} after a Click-to-Messenger advertisement"
    return words


def _citation(case: Case) -> str:
    longer = after_advertisement(case.policy, case.facts)
    counts = longer is not None and longer == closes_at(case)
    return case.policy.platform.click_to_messenger_citation if counts else case.policy.window_citation


GROUND = Ground("standard_window", _times, _words, _citation)
