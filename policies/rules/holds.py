"""The holds that end by themselves, in the order in which they are applied."""

from __future__ import annotations

from policies.rules import consent, frequency_cap, handover, minimum_gap, quiet_hours, schedule
from policies.rules.rule import Rule

HOLDS: tuple[Rule, ...] = (
    consent.RULE, schedule.RULE, handover.RULE, minimum_gap.RULE, frequency_cap.RULE, quiet_hours.RULE,
)  # fmt: skip
