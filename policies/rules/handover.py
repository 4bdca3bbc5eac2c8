"""A person has the thread: automation waits until it is handed back. An open-ended hold."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.rules.rule import Hold, standing

NAME = "handover"


def hold(case: Case) -> Hold | None:
    """The hold, while a person has the thread."""
    return Hold("handover", "handback") if case.facts.handover else None


def findings(case: Case) -> list[Finding]:
    """One finding: who has the thread."""
    if case.facts.handover:
        words = "a person has the conversation; messages wait until it is handed back"
        return [standing(NAME, reason="handover", words=words, wakes_on="handback")]
    return [standing(NAME, reason=None, words="no person has the conversation")]
