"""Somebody who is held is told why: an event that could not be applied, or words that somebody has to judge."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from policies.engine import decide
from policies.explain import explain
from policies.policy import load_policy
from scheduler.facts.decisions import ContactFacts, Switches, for_message

NOW = 1_777_975_200
POLICY = load_policy("platform-only")


@pytest.mark.parametrize(
    ("held", "under_review", "category", "words"),
    [
        (True, False, "promotional", "an event of the person's could not be applied: "),
        (True, False, "utility", "an event of the person's could not be applied: "),
        (False, True, "promotional", "what the person wrote may be an opt-out: promotional messages wait until "),
        (True, True, "promotional", "an event of the person's could not be applied: "),
        (True, True, "utility", "an event of the person's could not be applied: "),
        (False, True, "utility", None),
        (False, True, "service", None),
        (False, False, "promotional", None),
    ],
)
def test_a_hold_says_what_it_waits_for(held: bool, under_review: bool, category: str, words: str | None) -> None:
    message = SimpleNamespace(
        template_id=1, page_id=1, campaign_id=None, category=category, topic=None, not_before=None, expires_at=None,
        may_wait=False, confirms_record_id=None,
    )  # fmt: skip
    contact = ContactFacts(country="DE", last_inbound=NOW - 60, held=held, under_review=under_review)
    thrown = Switches(stops=set(), campaigns=set(), approved=set())
    facts = for_message(contact, message, thrown)  # type: ignore[arg-type]  # as much of a message as is read
    decision, findings = explain(POLICY, facts, NOW)
    assert decision == decide(POLICY, facts, NOW)
    said = next(each for each in findings if each.rule == "kill_switch")
    if words is None:
        assert (decision.verdict, said.reason) == ("send", None)
        return
    assert (decision.verdict, decision.reason, decision.wakes_on) == ("defer", "contact_held", "resume")
    assert said.words.startswith(words)
