"""The words that a scenario may use. An expectation that names anything else could never come true: it is refused."""

from __future__ import annotations

from policies.decision import PRECEDENCE

VERDICTS = ("send", "defer", "deny")
RULES = PRECEDENCE
GROUNDS = ("standard_window", "utility_template", "marketing_token", "recurring", "one_time_token")
REASONS = (
    "opted_out", "blocked", "unreachable", "erased", "test_mode", "no_consent", "consent_expired", "kill_switch",
    "page_stopped", "campaign_paused", "contact_held", "window_closed", "window_closes_in_quiet_hours",
    "window_closes_before_cap", "not_before", "expired", "handover", "minimum_gap", "frequency_cap", "quiet_hours",
    "closed_day", "unknown_zone", "rule_error",
)  # fmt: skip
WAKES_ON = ("inbound", "handback", "zone_evidence", "resume", "page_restored")

#: What may happen in a step.
EVENTS = ("inbound", "opt_out", "opt_in", "block", "sent", "handover", "handback")
#: Those that may speak of one topic.
TOPICAL_EVENTS = ("opt_out", "opt_in")

#: What may be switched off, and the fact that says so.
SWITCHES = {
    "kill_switch": "kill_switch",
    "page_stopped": "page_stopped",
    "campaign_paused": "campaign_paused",
    "contact_held": "held",
}

CONSENT_KINDS = ("express", "implied", "night")
TOKEN_KINDS = ("marketing", "recurring", "one_time")

#: In an expectation: that there is none.
NONE = "none"
