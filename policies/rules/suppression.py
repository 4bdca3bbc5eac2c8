"""Whom we do not message: a bar, lifted only by what the contact or an operator does."""

from __future__ import annotations

from policies.case import Case
from policies.confirmation import WITHIN, exempt, opted_out
from policies.decision import Finding
from policies.facts import Facts
from policies.rules.rule import standing
from policies.terms import duration

NAME = "suppression"

_WORDS = {
    "opted_out": "the contact asked for no more messages",
    "blocked": "the contact blocked the page",
    "unreachable": "the platform says that the contact cannot be reached",
    "erased": "the contact was erased",
    "test_mode": "the page is in test mode and the contact is not on its allow-list",
}


def barred(facts: Facts, now: int) -> str | None:
    """Why the contact is not to be messaged at ``now`` at all, or not on this topic; None if they may be."""
    if opted_out(facts) and not exempt(facts, now):
        return "opted_out"
    if facts.blocked:
        return "blocked"
    if facts.unreachable:
        return "unreachable"
    if facts.erased:
        return "erased"
    if facts.not_allowed:
        return "test_mode"
    return None


def findings(case: Case) -> list[Finding]:
    """One finding: the bar, or that there is none."""
    reason = barred(case.facts, case.now)
    if reason is None:
        if opted_out(case.facts):
            words = "the contact asked for no more messages; this one does nothing but confirm that"
            return [standing(NAME, reason=None, words=words, confirms_opt_out=True)]
        return [standing(NAME, reason=None, words="nothing bars messages to the contact")]
    words = _WORDS[reason]
    if reason == "opted_out" and not case.facts.opted_out:
        words = f"the contact asked for no more messages about `{case.facts.topic}`"
    if reason == "opted_out" and case.facts.confirms_opt_out:
        words += f"; only one service message may confirm it, within {duration(WITHIN)}"
    return [standing(NAME, reason=reason, words=words, topics=list(case.facts.opted_out_topics))]
