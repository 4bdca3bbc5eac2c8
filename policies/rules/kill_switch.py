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
    "contact_held": "an event of the contact could not be applied: they are held until a person looks",
}


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
    return [standing(NAME, reason=held.reason, words=_WORDS[held.reason], binds="house", wakes_on=held.wakes_on)]
