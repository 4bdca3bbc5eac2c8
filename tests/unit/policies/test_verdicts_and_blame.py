from __future__ import annotations

from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Decision
from policies.engine import decide, judge, permitted
from policies.facts import Facts, Send
from policies.policy import Policy, load_policy, parse_policy
from policies.rules import schedule

DEFAULT = load_policy("default")
PLATFORM = load_policy("platform-only")


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def policy(text: str) -> Policy:
    return parse_policy('[policy]\nname = "t"\n' + text, where="t.policy.toml")


NOON = at("2026-05-05T12:00:00+02:00")
BERLIN = ("Europe/Berlin",)
HOUR = 3600


def blamed(decision: Decision) -> tuple[str, str | None, tuple[str, ...]]:
    return decision.verdict, decision.reason, decision.because


def test_a_reply_reopens_the_window() -> None:
    facts = Facts(timezones=BERLIN, country="DE", last_inbound=at("2026-05-04T10:00:00+02:00"))
    now = at("2026-05-05T10:00:01+02:00")
    assert blamed(decide(DEFAULT, facts, now)) == ("deny", "window_closed", ("messaging_window",))
    facts.last_inbound = NOON
    assert decide(DEFAULT, facts, NOON + 1) == Decision(
        verdict="send", at=NOON + 1, ground="standard_window", closes_at=at("2026-05-05T21:00:00+02:00"),
        deadline=at("2026-05-06T11:55:00+02:00"),
    )  # fmt: skip


def test_the_window_is_half_open_and_the_margin_closes_it_early() -> None:
    for rules, length in ((PLATFORM, 24 * HOUR), (DEFAULT, 24 * HOUR - 300)):
        facts = Facts(timezones=BERLIN, category="service", last_inbound=NOON)
        assert decide(rules, facts, NOON + length - 1).verdict == "send"
        assert decide(rules, facts, NOON + length).reason == "window_closed"
        assert decide(rules, facts, NOON + length - 2, min_remaining=2).verdict == "deny"


def test_who_never_wrote_has_no_window() -> None:
    assert blamed(decide(PLATFORM, Facts(), NOON)) == ("deny", "window_closed", ("messaging_window",))


def test_an_inbound_ahead_of_our_clock_has_happened() -> None:
    assert decide(PLATFORM, Facts(last_inbound=NOON + 30), NOON).verdict == "send"


def test_an_approved_utility_template_needs_no_window() -> None:
    facts = Facts(category="utility", template_approved=True)
    decision = decide(DEFAULT, facts, NOON)
    assert (decision.verdict, decision.ground) == ("send", "utility_template")
    assert decision.deadline == decision.closes_at == NOON + 30 * 24 * HOUR
    facts.last_inbound = NOON - 60
    assert decide(DEFAULT, facts, NOON).ground == "standard_window"
    facts.last_inbound, facts.template_approved = None, False
    assert decide(DEFAULT, facts, NOON).reason == "window_closed"


def test_a_template_grounds_no_other_category() -> None:
    for category in ("promotional", "service"):
        facts = Facts(category=category, template_approved=True, timezones=BERLIN)
        assert decide(DEFAULT, facts, NOON).reason == "window_closed"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(opted_out=True), "opted_out"),
        (Facts(opted_out_topics=("news", "deals"), topic="deals"), "opted_out"),
        (Facts(blocked=True), "blocked"),
        (Facts(unreachable=True), "unreachable"),
        (Facts(erased=True), "erased"),
        (Facts(not_allowed=True), "test_mode"),
        # A bar speaks alone, whatever else stands in the way.
        (Facts(opted_out=True, blocked=True, expires_at=NOON - 1, handover=True), "opted_out"),
    ],
)
def test_a_bar_denies_by_itself(facts: Facts, reason: str) -> None:
    assert blamed(decide(DEFAULT, facts, NOON)) == ("deny", reason, ("suppression",))
    assert permitted(DEFAULT, facts, NOON) == ()


def test_a_topics_opt_out_bars_that_topic_alone() -> None:
    for topic in (None, "news"):
        facts = Facts(timezones=BERLIN, last_inbound=NOON, opted_out_topics=("deals",), topic=topic)
        assert decide(DEFAULT, facts, NOON).verdict == "send"


def test_an_opt_out_bars_every_category() -> None:
    for category in ("promotional", "utility", "service"):
        facts = Facts(category=category, template_approved=True, last_inbound=NOON, timezones=BERLIN, opted_out=True)
        assert decide(DEFAULT, facts, NOON).reason == "opted_out"


def test_the_schedule_bounds_the_message() -> None:
    facts = Facts(timezones=BERLIN, last_inbound=NOON, not_before=NOON + HOUR, expires_at=NOON + 2 * HOUR)
    waiting = decide(DEFAULT, facts, NOON)
    assert blamed(waiting) == ("defer", "not_before", ("schedule",))
    assert (waiting.at, waiting.closes_at, waiting.deadline) == (NOON + HOUR, NOON + 2 * HOUR, NOON + 2 * HOUR)
    assert decide(DEFAULT, facts, NOON + HOUR).verdict == "send"
    assert blamed(decide(DEFAULT, facts, NOON + 2 * HOUR)) == ("deny", "expired", ("schedule",))


def test_of_no_time_a_schedule_leaves_none() -> None:
    case = case_of(PLATFORM, Facts(expires_at=NOON + HOUR), NOON, 0)
    assert schedule.narrow(case, ()) == ()


def test_expired_is_a_bar() -> None:
    facts = Facts(expires_at=NOON)
    assert blamed(decide(DEFAULT, facts, NOON)) == ("deny", "expired", ("schedule",))


def test_what_is_due_beyond_the_horizon_is_refused() -> None:
    facts = Facts(category="utility", template_approved=True, not_before=NOON + 31 * 24 * HOUR)
    assert blamed(decide(DEFAULT, facts, NOON)) == ("deny", "not_before", ("schedule",))


def test_a_night_that_outlasts_the_window_blames_both() -> None:
    night = at("2026-05-05T21:30:00+02:00")
    facts = Facts(timezones=BERLIN, last_inbound=night - 20 * HOUR)
    expected = ("deny", "window_closes_in_quiet_hours", ("messaging_window", "quiet_hours"))
    assert blamed(decide(DEFAULT, facts, night)) == expected


def test_a_closed_window_is_not_the_nights_fault() -> None:
    night = at("2026-05-05T21:30:00+02:00")
    facts = Facts(timezones=BERLIN, last_inbound=night - 30 * HOUR)
    assert blamed(decide(DEFAULT, facts, night)) == ("deny", "window_closed", ("messaging_window",))


def test_night_and_cap_together_leave_the_window_to_blame_but_tell_the_truth() -> None:
    night = at("2026-05-05T21:30:00+02:00")
    sends = (Send(at=night - HOUR, category="promotional"),)
    facts = Facts(timezones=BERLIN, last_inbound=night - 20 * HOUR, sends=sends)
    # Neither the night nor the cap relaxed would leave anything: both outlast the window.
    expected = ("deny", "window_closes_in_quiet_hours", ("messaging_window",))
    assert blamed(decide(DEFAULT, facts, night)) == expected


def test_an_expiry_in_the_night_blames_both() -> None:
    night = at("2026-05-05T21:30:00+02:00")
    facts = Facts(timezones=BERLIN, last_inbound=night, expires_at=night + HOUR)
    assert blamed(decide(DEFAULT, facts, night)) == ("deny", "expired", ("schedule", "quiet_hours"))


def test_where_no_single_rule_is_to_blame_all_that_leave_nothing_are() -> None:
    # The window is closed, and the message expires in the night: relaxing one of them helps nobody.
    night = at("2026-05-05T21:30:00+02:00")
    facts = Facts(timezones=BERLIN, last_inbound=night - 30 * HOUR, expires_at=night + HOUR)
    assert blamed(decide(DEFAULT, facts, night)) == ("deny", "window_closed", ("messaging_window", "quiet_hours"))


def test_what_may_begin_this_very_second_and_ends_too_soon_has_expired() -> None:
    facts = Facts(category="utility", template_approved=True, not_before=NOON, expires_at=NOON + 60)
    for ask in (decide, lambda *asked, min_remaining: judge(case_of(*asked, min_remaining))):
        decision = ask(PLATFORM, facts, NOON, min_remaining=600)
        assert (decision.verdict, decision.because, decision.reason) == ("deny", ("schedule",), "expired")


def test_an_expiry_within_the_guard_blames_no_rule_that_permits() -> None:
    # Noon in Berlin, capped until tomorrow, one second before the expiry: the window and the hours are open.
    sends = (Send(at=NOON - HOUR, category="promotional"),)
    facts = Facts(timezones=BERLIN, last_inbound=NOON - HOUR, sends=sends, expires_at=NOON + 1)
    assert blamed(decide(DEFAULT, facts, NOON, min_remaining=2)) == ("deny", "expired", ("schedule", "frequency_cap"))
    facts.sends = ()
    assert blamed(decide(DEFAULT, facts, NOON, min_remaining=2)) == ("deny", "expired", ("schedule",))


def test_where_each_rule_leaves_something_and_no_relaxation_helps_all_that_restrict_are_blamed() -> None:
    rules = policy(
        '[[permitted_hours]]\nid = "h"\ndaily = [["10:00", "11:00"]]\n[[minimum_gap]]\nid = "g"\nbetween = "90m"'
        '\n[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "100m"'
    )
    # It is 10:00; sent at 09:20, expires at 11:30: the gap ends 10:50, the cap 11:00, the hours 11:00.
    now = at("2026-05-05T10:00:00+02:00")
    facts = Facts(
        timezones=BERLIN, category="utility", template_approved=True, expires_at=now + 90 * 60,
        sends=(Send(at=now - 30 * 60, category="utility"),),
    )  # fmt: skip
    decision = decide(rules, facts, now)
    assert blamed(decision) == ("deny", "expired", ("schedule", "quiet_hours"))
    facts.sends = (Send(at=now - 20 * 60, category="utility"),)
    decision = decide(rules, facts, now)
    assert decision.because == ("schedule", "quiet_hours")


def test_a_defer_blames_every_hold_that_is_closed_now() -> None:
    night = at("2026-05-05T22:00:00+02:00")
    facts = Facts(
        timezones=BERLIN, last_inbound=night, not_before=night + HOUR,
        sends=(Send(at=night - 20 * HOUR, category="promotional"),),
    )  # fmt: skip
    decision = decide(DEFAULT, facts, night)
    assert blamed(decision) == ("defer", "not_before", ("schedule", "frequency_cap", "quiet_hours"))
    assert decision.at == at("2026-05-06T08:00:00+02:00")


@pytest.mark.parametrize(
    ("held", "rule", "reason", "wakes_on"),
    [
        (Facts(kill_switch=True, page_stopped=True, handover=True), "kill_switch", "kill_switch", "resume"),
        (Facts(page_stopped=True), "kill_switch", "page_stopped", "page_restored"),
        (Facts(campaign_paused=True), "kill_switch", "campaign_paused", "resume"),
        (Facts(held=True), "kill_switch", "contact_held", "resume"),
        (Facts(handover=True), "handover", "handover", "handback"),
    ],
)
def test_an_open_ended_hold_defers_until_something_happens(held: Facts, rule: str, reason: str, wakes_on: str) -> None:
    held.timezones, held.last_inbound = BERLIN, NOON
    decision = decide(DEFAULT, held, NOON)
    assert (decision.verdict, decision.at, decision.ground, decision.closes_at) == ("defer", None, None, None)
    assert (decision.because[0], decision.reason, decision.wakes_on) == (rule, reason, wakes_on)
    assert decision.deadline == NOON + 24 * HOUR - 300
    assert permitted(DEFAULT, held, NOON) == ()


def test_an_open_ended_hold_names_the_other_closed_holds_too() -> None:
    night = at("2026-05-05T22:00:00+02:00")
    decision = decide(DEFAULT, Facts(timezones=BERLIN, last_inbound=night, kill_switch=True), night)
    assert blamed(decision) == ("defer", "kill_switch", ("kill_switch", "quiet_hours"))


def test_an_open_ended_hold_with_nothing_behind_it_denies_blaming_the_others() -> None:
    facts = Facts(timezones=BERLIN, last_inbound=NOON - 30 * HOUR, kill_switch=True, handover=True)
    decision = decide(DEFAULT, facts, NOON)
    assert blamed(decision) == ("deny", "window_closed", ("messaging_window",))
    assert decision.wakes_on is None


def test_a_rule_that_fails_lets_nothing_through() -> None:
    wrong = Facts(timezones=BERLIN, last_inbound="yesterday")  # type: ignore[arg-type]
    assert blamed(decide(DEFAULT, wrong, NOON)) == ("deny", "rule_error", ("messaging_window",))
    nowhere = Facts(timezones=(7,), last_inbound=NOON)  # type: ignore[arg-type]
    assert blamed(decide(DEFAULT, nowhere, NOON)) == ("deny", "rule_error", ("unknown_zone",))
    history = Facts(timezones=BERLIN, last_inbound=NOON, sends=(Send(at=None, category="promotional"),))  # type: ignore[arg-type]
    assert blamed(decide(DEFAULT, history, NOON)) == ("deny", "rule_error", ("frequency_cap",))
