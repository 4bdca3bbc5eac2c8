"""Every rule's finding in words: what was looked at, what it says, and where the rule comes from."""

from __future__ import annotations

from policies.case import case_of
from policies.decision import Decision, Finding
from policies.engine import broken_rule, decide
from policies.facts import Facts
from policies.policy import Policy
from policies.rules import (
    consent,
    frequency_cap,
    handover,
    kill_switch,
    messaging_window,
    minimum_gap,
    quiet_hours,
    schedule,
    suppression,
    unknown_zone,
)

#: By precedence.
_ASKED = (
    suppression.findings,
    consent.RULE.findings,
    kill_switch.findings,
    messaging_window.RULE.findings,
    schedule.RULE.findings,
    handover.RULE.findings,
    minimum_gap.RULE.findings,
    frequency_cap.RULE.findings,
    quiet_hours.RULE.findings,
    unknown_zone.findings,
)


def explain(policy: Policy, facts: Facts, now: int, *, min_remaining: int = 0) -> tuple[Decision, tuple[Finding, ...]]:
    """The decision at ``now`` (epoch seconds UTC) and each rule's finding, by precedence. Never raises.

    A rule may have several findings, one for each of its entries (the house's hours, each jurisdiction's).
    """
    decision = decide(policy, facts, now, min_remaining=min_remaining)
    try:
        case = case_of(policy, facts, now, min_remaining)
        return decision, tuple(finding for asked in _ASKED for finding in asked(case))
    except Exception as error:  # a rule that raises is what there is to explain
        rule = broken_rule(policy, facts, now, min_remaining)
        broken = Finding(
            rule=rule, clause=rule, reason="rule_error", permits_now=False, next_at=None,
            numbers={"error": type(error).__name__}, citation=None, binds=None,
            words=f"the rule failed, so nothing is sent: {error}",
        )  # fmt: skip
        return decision, (broken,)
