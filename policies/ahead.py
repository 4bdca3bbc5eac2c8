"""A forecast: what becomes of a message where others are scheduled for the same contact, and what to do until then.

A planned message is not a send yet: it may be taken back or denied. So nothing is denied for good on its account while
the message could wait and see; and a message that is about to begin is decided by ``decide`` alone, from what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.binding import binding_of
from policies.case import case_of
from policies.decision import Decision
from policies.engine import decide
from policies.facts import Facts, Planned, with_message
from policies.policy import Policy
from policies.rules import frequency_cap, minimum_gap
from policies.terms import binds


@dataclass(slots=True, kw_only=True)
class Outlook:
    """A decision in the light of what is planned."""

    #: What to do with the message now.
    decision: Decision
    #: What it comes to in the end if all that is planned goes. The same, save where ``decision`` waits and sees.
    expected: Decision
    #: What it waits for, or is lost to, by time. Empty: nothing planned makes a difference.
    after: tuple[Planned, ...] = ()


def look_ahead(policy: Policy, facts: Facts, now: int, *, min_remaining: int = 0) -> Outlook:
    """The decision at ``now`` (epoch seconds UTC) on a message that is planned; never raises.

    The deadline is that of the message alone: what is planned ends no permission.
    """
    expected = decide(policy, facts, now, min_remaining=min_remaining)
    if not facts.planned:
        return Outlook(decision=expected, expected=expected)
    by_itself = _without_planned(facts)
    alone = decide(policy, by_itself, now, min_remaining=min_remaining)
    if alone.at is None or expected.at == alone.at or expected.reason == "rule_error":
        # It does not go for reasons of its own, or it goes when it would go anyway.
        found = expected if expected.reason == "rule_error" else alone
        return Outlook(decision=found, expected=found)
    after = _in_the_way(policy, facts, expected.at)
    if expected.at is not None:
        # It may wait as long for its hours as for the others: what the rules say of now is why.
        expected = _until(expected, alone.deadline, expected.because, expected.reason, expected.wakes_on)
        return Outlook(decision=expected, expected=expected, after=after)
    seen = max(each.at for each in after) + 1
    by_itself.not_before = seen if facts.not_before is None else max(seen, facts.not_before)
    later = decide(policy, by_itself, now, min_remaining=min_remaining)
    if later.at is None:
        return Outlook(decision=expected, expected=expected, after=after)
    case = case_of(policy, facts, now, min_remaining)
    instant = ((now, now + min_remaining + 1),)
    paces = tuple(rule.NAME for rule in (minimum_gap, frequency_cap) if rule.narrow(case, instant) != instant)
    because = paces or (frequency_cap.NAME,)
    return Outlook(decision=_until(later, alone.deadline, because, because[0], None), expected=expected, after=after)


def _without_planned(facts: Facts) -> Facts:
    # Of its own: ``dataclasses.replace`` costs as much as several decisions.
    alone = with_message(
        facts, category=facts.category, topic=facts.topic, not_before=facts.not_before, expires_at=facts.expires_at,
        may_wait=facts.may_wait, template_approved=facts.template_approved, kill_switch=facts.kill_switch,
        campaign_paused=facts.campaign_paused,
    )  # fmt: skip
    alone.planned = ()
    return alone


def _until(
    found: Decision, deadline: int | None, because: tuple[str, ...], reason: str | None, wakes_on: str | None
) -> Decision:
    return Decision(
        verdict="defer", at=found.at, ground=found.ground, closes_at=found.closes_at, deadline=deadline,
        because=because, reason=reason, wakes_on=wakes_on,
    )  # fmt: skip


def _in_the_way(policy: Policy, facts: Facts, before: int | None) -> tuple[Planned, ...]:
    """What is planned before that instant and is counted by a cap or a gap that binds the message."""
    binding = binding_of(policy, facts)
    counting = [cap.applies_to for cap in (*binding.rolling, *binding.calendar)]
    counting += [gap.applies_to for gap in binding.gaps]
    found = (each for each in facts.planned if before is None or each.at < before)
    return tuple(
        sorted(
            (each for each in found if any(binds(applies_to, each.category) for applies_to in counting)),
            key=lambda each: each.at,
        )
    )
