"""A person has the thread: open-ended, or until the policy's time-out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Finding
from policies.engine import decide, judge, permitted
from policies.explain import explain
from policies.facts import Facts, Send
from policies.policy import load_policy, parse_policy


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


HOUR, DAY = 3600, 86_400
NOON = at("2026-05-05T12:00:00+02:00")
BERLIN = ("Europe/Berlin",)
POLICY = parse_policy('[policy]\nname = "t"\n[handover]\ntimeout = "2h"\n', where="t")


def handed(taken: int | None, **known: object) -> Facts:
    facts = Facts(timezones=BERLIN, country="DE", last_inbound=NOON - HOUR, handover=True, handover_at=taken)
    for name, value in known.items():
        setattr(facts, name, value)
    return facts


def finding(facts: Facts, now: int = NOON) -> Finding:
    return next(found for found in explain(POLICY, facts, now)[1] if found.rule == "handover")


def test_it_times_out_after_the_persons_last_message() -> None:
    facts = handed(NOON - HOUR)
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.at, decision.wakes_on) == ("defer", NOON + HOUR, "handback")
    assert (decision.because, decision.reason) == (("handover",), "handover")
    assert permitted(POLICY, facts, NOON) == ((NOON + HOUR, NOON + 23 * HOUR),)
    found = finding(facts)
    assert (found.reason, found.next_at, found.clause, found.binds) == (
        "handover", NOON + HOUR, "handover.timeout", "house",
    )  # fmt: skip
    assert found.words == (
        "a person has the conversation; messages wait until it is handed back, at the latest until 2026-05-05 13:00 "
        "CEST, 2h after they last wrote"
    )


def test_once_timed_out_it_holds_nothing() -> None:
    facts = handed(NOON - 2 * HOUR)
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.wakes_on) == ("send", None)
    assert finding(facts).words.endswith("since 2026-05-05 12:00 CEST, 2h after they last wrote, messages may go again")
    assert decide(POLICY, facts, NOON - 1).verdict == "defer"


def test_a_time_out_that_comes_too_late_waits_for_the_person() -> None:
    # The window closes in a minute; they may hand the conversation back before.
    facts = handed(NOON - HOUR, last_inbound=NOON - DAY + 60)
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.at, decision.wakes_on) == ("defer", None, "handback")
    assert (decision.because, decision.reason, decision.deadline) == (("handover",), "handover", NOON + 60)
    assert permitted(POLICY, facts, NOON) == ()


def test_if_nothing_would_be_left_without_it_the_others_are_to_blame() -> None:
    facts = handed(NOON - HOUR, last_inbound=NOON - DAY)
    decision = decide(POLICY, facts, NOON)
    assert (decision.verdict, decision.because, decision.wakes_on) == ("deny", ("messaging_window",), None)


@pytest.mark.parametrize("handover_at", [None, NOON - HOUR, NOON - 2 * HOUR, NOON + HOUR])
@pytest.mark.parametrize(
    ("known", "blamed", "reason"),
    [
        # The window closes at 22:25, and the night lasts until eight.
        ({"last_inbound": NOON - 14 * HOUR}, ("messaging_window", "quiet_hours"), "window_closes_in_quiet_hours"),
        # A cap that lets go after the window, which closes in the night.
        (
            {"last_inbound": NOON - 12 * HOUR, "sends": (Send(at=NOON, category="promotional"),)},
            ("messaging_window",), "window_closes_in_quiet_hours",
        ),
        ({"expires_at": NOON + 10 * HOUR, "not_before": NOON + 10 * HOUR}, ("schedule",), "not_before"),
        ({"last_inbound": NOON - 14 * HOUR, "expires_at": NOON + 18 * HOUR}, ("quiet_hours",), "quiet_hours"),
        # Two rules stand in the way, and neither's relaxation alone would help.
        (
            {"last_inbound": None, "expires_at": NOON + 10 * HOUR},
            ("messaging_window", "quiet_hours"), "window_closed",
        ),
    ],
)  # fmt: skip
def test_a_denial_is_blamed_as_if_nobody_had_the_conversation(
    known: dict[str, object], blamed: tuple[str, ...], reason: str, handover_at: int | None
) -> None:
    evening = NOON + 9 * HOUR + 1800
    policy = load_policy("default")
    facts = handed(handover_at, **known)
    alone = replace(facts, handover=False, handover_at=None)
    for asked in (facts, alone):
        decision = decide(policy, asked, evening)
        assert (decision.verdict, decision.because, decision.reason) == ("deny", blamed, reason)
        assert judge(case_of(policy, asked, evening, 0)) == decision


def test_beside_another_rule_both_are_named() -> None:
    facts = handed(NOON - HOUR, not_before=NOON + 3 * HOUR)
    decision = decide(POLICY, facts, NOON)
    assert (decision.at, decision.because, decision.wakes_on) == (NOON + 3 * HOUR, ("schedule", "handover"), "handback")
    assert decision.reason == "not_before"


def test_beside_a_switch_the_switch_comes_first() -> None:
    facts = handed(NOON - HOUR, kill_switch=True)
    decision = decide(POLICY, facts, NOON)
    assert (decision.at, decision.because, decision.wakes_on) == (None, ("kill_switch", "handover"), "resume")
    assert decision.reason == "kill_switch"
    late = handed(NOON - HOUR, kill_switch=True, last_inbound=NOON - DAY + 60)
    assert decide(POLICY, late, NOON).because == ("kill_switch", "handover")


def test_without_a_time_nothing_times_out() -> None:
    platform = load_policy("platform-only")
    for policy, facts in ((POLICY, handed(None)), (platform, handed(NOON - 30 * DAY))):
        decision = decide(policy, facts, NOON)
        assert (decision.verdict, decision.at, decision.wakes_on) == ("defer", None, "handback")
        assert permitted(policy, facts, NOON) == ()
    assert finding(handed(None)).clause == "handover"
    assert finding(handed(None)).words == "a person has the conversation; messages wait until it is handed back"
    assert finding(Facts()).words == "no person has the conversation"


def test_the_default_waits_as_long_as_a_person_may_answer() -> None:
    default = load_policy("default")
    assert default.handover_timeout == 7 * DAY
    facts = handed(NOON - 7 * DAY + 60)
    assert decide(default, facts, NOON).at == NOON + 60
    assert decide(default, facts, NOON + 60).verdict == "send"
    assert load_policy("platform-only").handover_timeout is None
