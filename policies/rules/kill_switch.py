"""Sending is switched off: for everyone, for a page, a campaign or one contact. An open-ended hold."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.rules.rule import Hold, standing

NAME = "kill_switch"

_WORDS = {
    "kill_switch": "a kill switch is engaged",
    "page_stopped": "the page is stopped",
    "campaign_paused": "the campaign is paused",
    "contact_held": "an event of the person's could not be applied: they are held until somebody has looked at it",
}
_REVIEW = (
    "what the person wrote may be an opt-out: promotional messages wait until somebody has judged it, "
    "see `duly consent reviews`"
)


def hold(case: Case) -> Hold | None:
    """The switch that holds the message, the widest first."""
    facts = case.facts
    if facts.kill_switch:
        return Hold("kill_switch", "resume")
    if facts.page_stopped:
        return Hold("page_stopped", "page_restored")
    if facts.campaign_paused:
        return Hold("campaign_paused", "resume")
    if facts.held:
        return Hold("contact_held", "resume")
    return None


def findings(case: Case) -> list[Finding]:
    """One finding: the switch, or that none is thrown."""
    held = hold(case)
    if held is None:
        return [standing(NAME, reason=None, words="no switch holds the message")]
    words = _REVIEW if held.reason == "contact_held" and case.facts.under_review else _WORDS[held.reason]
    return [standing(NAME, reason=held.reason, words=words, binds="house", wakes_on=held.wakes_on)]
