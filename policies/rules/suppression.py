"""Whom we do not message: a bar, lifted only by what the contact or an operator does."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.facts import Facts
from policies.rules.rule import standing

NAME = "suppression"

_WORDS = {
    "opted_out": "the contact asked for no more messages",
    "blocked": "the contact blocked the page",
    "unreachable": "the platform says that the contact cannot be reached",
    "erased": "the contact was erased",
    "test_mode": "the page is in test mode and the contact is not on its allow-list",
}


def barred(facts: Facts) -> str | None:
    """Why the contact is not to be messaged at all, or not on this topic; None if they may be."""
    if opted_out(facts) and not confirms(facts):
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


def opted_out(facts: Facts) -> bool:
    """Whether the contact asked for no more messages at all, or for none about this topic."""
    return facts.opted_out or (bool(facts.opted_out_topics) and facts.topic in facts.opted_out_topics)


def confirms(facts: Facts) -> bool:
    """Whether this is the one service message that may confirm an opt-out: none was sent since they asked."""
    if not facts.confirms_opt_out or facts.category != "service":
        return False
    since = facts.opted_out_at
    return not any(send.confirms_opt_out and (since is None or send.at >= since) for send in facts.sends)


def findings(case: Case) -> list[Finding]:
    """One finding: the bar, or that there is none."""
    reason = barred(case.facts)
    if reason is None:
        if opted_out(case.facts):
            words = "the contact asked for no more messages; this one does nothing but confirm that"
            return [standing(NAME, reason=None, words=words, confirms_opt_out=True)]
        return [standing(NAME, reason=None, words="nothing bars messages to the contact")]
    words = _WORDS[reason]
    if reason == "opted_out" and not case.facts.opted_out:
        words = f"the contact asked for no more messages about `{case.facts.topic}`"
    if reason == "opted_out" and case.facts.confirms_opt_out:
        words += "; only one service message may confirm it"
    return [standing(NAME, reason=reason, words=words, topics=list(case.facts.opted_out_topics))]
