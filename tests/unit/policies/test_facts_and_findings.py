from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime

import pytest

from policies.engine import decide
from policies.explain import explain
from policies.facts import Consent, Facts, Planned, Send, Token, facts_from_json, facts_to_json, with_message
from policies.policy import load_policy

DEFAULT = load_policy("default")


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


FULL = Facts(
    timezones=("Europe/Berlin", "UTC"), utc_offset=0, country="DE", region="DE-BE", locale="de_DE", last_inbound=1,
    opted_out=True, opted_out_topics=("a",), blocked=True, unreachable=True, erased=True, not_allowed=True,
    handover=True, held=True, under_review=True,
    sends=(Send(at=1, category="utility"), Send(at=2, category="service", ground="g")),
    planned=(Planned(at=3, category="promotional"), Planned(at=4, category="service", owner="event 12")),
    category="utility", topic="t", not_before=3, expires_at=4, template_approved=True, kill_switch=True,
    may_wait=True,
    campaign_paused=True, page_stopped=True,
)  # fmt: skip


@pytest.mark.parametrize("facts", [Facts(), FULL, Facts(utc_offset=0), Facts(last_inbound=0)])
def test_facts_survive_json(facts: Facts) -> None:
    assert facts_from_json(json.loads(json.dumps(facts_to_json(facts)))) == facts


def test_defaults_are_left_out() -> None:
    assert facts_to_json(Facts()) == {}
    assert facts_to_json(Facts(utc_offset=0)) == {"utc_offset": 0}


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(ValueError, match="mood"):
        facts_from_json({"mood": "good"})


def test_a_decision_is_explained_rule_by_rule() -> None:
    now = at("2026-03-07T21:30:00-05:00")
    facts = Facts(
        timezones=("America/New_York",), region="US-FL", last_inbound=now - 7200,
        sends=(Send(at=now - 100_000, category="promotional"),),
    )  # fmt: skip
    decision, findings = explain(DEFAULT, facts, now)
    assert decision == decide(DEFAULT, facts, now)
    assert [finding.rule for finding in findings] == [
        "suppression", "consent", "kill_switch", "messaging_window", "schedule", "handover", "minimum_gap",
        "frequency_cap", "frequency_cap", "frequency_cap", "quiet_hours", "quiet_hours", "quiet_hours", "unknown_zone",
    ]  # fmt: skip
    by_id = {finding.numbers.get("id"): finding for finding in findings}
    florida = by_id["us-fl-hours"]
    assert (florida.permits_now, florida.reason) == (False, "quiet_hours")
    assert florida.next_at == at("2026-03-08T08:00:00-04:00")
    assert florida.citation is not None
    assert florida.citation.startswith("Fla. Stat. 501.616")
    assert florida.words == (
        "us-fl-hours (US-FL, statute): open 08:00-20:00 local time, "
        "and there it is 2026-03-07 21:30 EST (America/New_York)"
    )
    assert by_id["weekly"].words == ("weekly: at most 3 in a rolling 7d; 1 counted, the last at 2026-03-06 17:43 EST")
    window = next(finding for finding in findings if finding.rule == "messaging_window")
    assert window.words == "the messaging window closes at 2026-03-08 20:25 EDT (5m early, as the policy asks)"


def test_findings_name_what_stands_in_the_way() -> None:
    now = at("2026-05-10T12:00:00Z")
    facts = Facts(
        blocked=True,
        kill_switch=True,
        handover=True,
        not_before=now + 60,
        last_inbound=now - 90_000,
    )
    _, findings = explain(DEFAULT, facts, now)
    reasons = {finding.rule: finding.reason for finding in findings}
    assert reasons == {
        "suppression": "blocked", "consent": None, "kill_switch": "kill_switch", "messaging_window": "window_closed",
        "schedule": "not_before", "handover": "handover", "minimum_gap": None, "frequency_cap": None,
        "quiet_hours": "quiet_hours", "unknown_zone": "unknown_zone",
    }  # fmt: skip
    schedule = next(finding for finding in findings if finding.rule == "schedule")
    assert schedule.next_at == now + 60
    json.dumps([finding.numbers for finding in findings])


def test_a_rule_that_fails_is_explained() -> None:
    decision, findings = explain(DEFAULT, Facts(timezones=(7,)), 0)  # type: ignore[arg-type]
    assert decision.reason == "rule_error"
    assert [(finding.rule, finding.reason) for finding in findings] == [("unknown_zone", "rule_error")]
    assert findings[0].words.startswith("the rule failed, so nothing is sent: ")


def test_a_rule_that_permits_now_but_not_for_long_enough_says_so() -> None:
    now = at("2026-03-07T20:50:00-05:00")
    facts = Facts(timezones=("America/New_York",), last_inbound=now - 7200)
    decision, findings = explain(DEFAULT, facts, now, min_remaining=1200)
    house = next(finding for finding in findings if finding.numbers.get("id") == "house")
    assert (decision.verdict, house.permits_now) == ("defer", False)
    assert house.words == (
        "house: open 08:00-21:00 local time, and there it is 2026-03-07 20:50 EST (America/New_York)"
        "; permitted at this instant, but not for the 20m that a send must have left"
    )


def test_the_facts_of_a_message_leave_out_none_of_the_contacts() -> None:
    contact = replace(
        FULL, ad_inbound=5, opted_out_at=6, handover_at=7, confirms_opt_out=True,
        consents=(Consent(kind="express", granted_at=1),), tokens=(Token(kind="marketing"),),
    )  # fmt: skip
    assert all(getattr(contact, each.name) != each.default for each in fields(Facts) if each.name != "topic")
    of_the_message = {
        "category": "service", "topic": "u", "not_before": 8, "expires_at": 9, "template_approved": False,
        "may_wait": False,
        "kill_switch": False, "campaign_paused": False,
    }  # fmt: skip
    assert with_message(contact, **of_the_message) == replace(contact, **of_the_message)  # type: ignore[arg-type]  # they are the fields' own
    assert contact.category == "utility"
