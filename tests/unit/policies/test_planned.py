"""What is planned for a person counts against caps and gaps as a forecast, and denies nothing that could wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.ahead import look_ahead
from policies.engine import decide
from policies.explain import explain
from policies.facts import Facts, Planned, Send
from policies.policy import parse_policy

NOON = 1_773_144_000
HOUR, DAY = 3600, 86_400
POLICY = parse_policy(
    """
    [policy]
    name = "paces"
    [[frequency_cap]]
    id = "daily"
    limit = 1
    per = "12h"
    applies_to = ["promotional"]
    [[minimum_gap]]
    id = "breath"
    between = "30m"
    applies_to = ["service"]
    """,
    where="t",
)
TWO = parse_policy('[policy]\nname = "two"\n[[frequency_cap]]\nid = "c"\nlimit = 2\nper = "6h"\n', where="t")
BY_DAY = parse_policy('[policy]\nname = "day"\n[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"\n', where="t")
BERLIN = Facts(timezones=("Europe/Berlin",), last_inbound=NOON - HOUR)


def ahead(*instants: int, category: str = "promotional", owner: str = "campaign 3") -> tuple[Planned, ...]:
    return tuple(Planned(at=at, category=category, owner=owner) for at in instants)


def test_what_is_planned_now_puts_off_until_the_cap_is_free_again() -> None:
    facts = replace(BERLIN, planned=ahead(NOON))
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.at, decision.reason) == ("defer", NOON + 12 * HOUR, "frequency_cap")


@pytest.mark.parametrize(
    ("planned", "verdict", "at"),
    [
        # A message that goes before a planned one would keep that one from going.
        (NOON + 2 * HOUR, "defer", NOON + 14 * HOUR),
        (NOON + 12 * HOUR - 1, "deny", None),
        (NOON + 12 * HOUR, "send", NOON),
    ],
)
def test_a_planned_message_is_not_overtaken(planned: int, verdict: str, at: int | None) -> None:
    decision = decide(POLICY, replace(BERLIN, planned=ahead(planned)), NOON)
    assert (decision.verdict, decision.at) == (verdict, at)


def test_a_gap_is_kept_on_both_sides() -> None:
    facts = replace(BERLIN, category="service", planned=ahead(NOON + 10 * 60, category="service"))
    assert decide(POLICY, facts, NOON).at == NOON + 40 * 60
    assert decide(POLICY, facts, NOON - 20 * 60).at == NOON - 20 * 60
    assert decide(POLICY, facts, NOON - 20 * 60 + 1).at == NOON + 40 * 60


def test_sends_and_plans_fill_a_cap_together() -> None:
    facts = replace(BERLIN, sends=(Send(at=NOON - HOUR, category="service"),), planned=ahead(NOON + 2 * HOUR))
    assert decide(TWO, facts, NOON).at == NOON + 5 * HOUR
    assert decide(TWO, replace(facts, planned=()), NOON).at == NOON


def test_a_calendar_cap_counts_the_planned_messages_day() -> None:
    # Noon UTC is one o'clock in Berlin.
    facts = replace(BERLIN, planned=ahead(NOON + 3 * HOUR))
    assert decide(BY_DAY, facts, NOON).at == NOON + 11 * HOUR
    assert decide(BY_DAY, replace(facts, planned=ahead(NOON + 12 * HOUR)), NOON).at == NOON


def test_the_finding_names_whose_message_is_planned() -> None:
    _, findings = explain(POLICY, replace(BERLIN, planned=ahead(NOON + HOUR)), NOON)
    [cap] = [finding for finding in findings if finding.rule == "frequency_cap"]
    assert not cap.permits_now
    assert cap.words.endswith("0 counted; campaign 3's is planned at 2026-03-10 14:00 CET")
    _, findings = explain(
        POLICY,
        replace(BERLIN, category="service", planned=ahead(NOON, category="service", owner="event 12")),
        NOON,
    )
    assert any("event 12's is planned at" in each.words for each in findings if each.rule == "minimum_gap")


def test_a_message_that_may_go_in_time_says_whom_it_follows() -> None:
    found = look_ahead(POLICY, replace(BERLIN, planned=ahead(NOON)), NOON)
    assert found.decision == found.expected
    assert (found.decision.verdict, found.decision.at) == ("defer", NOON + 12 * HOUR)
    assert [each.owner for each in found.after] == ["campaign 3"]


def test_what_is_lost_to_a_planned_message_waits_to_see_whether_that_goes() -> None:
    facts = replace(BERLIN, last_inbound=NOON - 14 * HOUR, planned=ahead(NOON + HOUR))
    found = look_ahead(POLICY, facts, NOON)
    assert (found.expected.verdict, found.expected.reason) == ("deny", "window_closes_before_cap")
    # Its own window stays open for ten hours: it is looked at again just behind the other.
    assert (found.decision.verdict, found.decision.at) == ("defer", NOON + HOUR + 1)
    assert (found.decision.reason, found.decision.because) == ("frequency_cap", ("frequency_cap",))
    assert found.decision.deadline == NOON + 10 * HOUR
    assert found.after == facts.planned


def test_what_cannot_wait_that_long_is_denied() -> None:
    facts = replace(BERLIN, last_inbound=NOON - 23 * HOUR, planned=ahead(NOON + 2 * HOUR))
    found = look_ahead(POLICY, facts, NOON)
    assert found.decision == found.expected
    assert (found.decision.verdict, found.decision.reason) == ("deny", "window_closes_before_cap")


def test_what_would_not_go_anyway_is_not_blamed_on_others() -> None:
    facts = replace(BERLIN, last_inbound=NOON - 30 * HOUR, planned=ahead(NOON))
    found = look_ahead(POLICY, facts, NOON)
    assert (found.decision.reason, found.after) == ("window_closed", ())
    held = look_ahead(POLICY, replace(BERLIN, kill_switch=True, planned=ahead(NOON)), NOON)
    assert (held.decision.verdict, held.decision.wakes_on, held.after) == ("defer", "resume", ())


def test_what_no_rule_counts_makes_no_difference() -> None:
    facts = replace(BERLIN, planned=ahead(NOON, category="utility"))
    found = look_ahead(POLICY, facts, NOON)
    assert (found.decision.verdict, found.after) == ("send", ())
    assert found.decision == look_ahead(POLICY, replace(facts, planned=()), NOON).decision


def test_the_deadline_is_the_messages_own() -> None:
    # Behind the planned message nothing is left of the window; should that one never go, all of it is.
    facts = replace(BERLIN, last_inbound=NOON - 2 * HOUR, planned=ahead(NOON + 15 * HOUR))
    found = look_ahead(POLICY, facts, NOON)
    assert decide(POLICY, facts, NOON).deadline == NOON + 3 * HOUR + 1
    assert (found.decision.verdict, found.decision.deadline) == ("send", NOON + 22 * HOUR)
