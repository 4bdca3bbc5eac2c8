"""Properties of sets of instants and of decisions over generated cases, the same ones at every run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policies.decision import PRECEDENCE
from policies.engine import decide, permitted
from policies.explain import explain
from policies.facts import Facts, Send, facts_from_json, facts_to_json
from policies.intervals import Intervals, clip, covers, intersect, subtract, union, usable
from policies.policy import load_policy, parse_policy

fixed = settings(derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])

HOUR = 3600
DAY = 24 * HOUR
NOW = int(datetime(2026, 3, 28, 15, tzinfo=UTC).timestamp())

raw = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)
sets = raw.map(union)


def members(intervals: Intervals) -> set[int]:
    return {instant for start, end in intervals for instant in range(start, end)}


def well_formed(intervals: Intervals) -> bool:
    edges = [edge for interval in intervals for edge in interval]
    return edges == sorted(set(edges))


@settings(fixed, max_examples=300)
@given(raw, sets, sets, st.integers(0, 30), st.integers(0, 30))
def test_the_algebra_of_sets(
    pairs: list[tuple[int, int]], left: Intervals, right: Intervals, low: int, high: int
) -> None:
    assert members(union(pairs)) == {instant for start, end in pairs for instant in range(start, end)}
    assert members(intersect(left, right)) == members(left) & members(right)
    assert members(subtract(left, right)) == members(left) - members(right)
    assert members(clip(left, low, high)) == members(left) & set(range(low, high))
    for found in (union(pairs), intersect(left, right), subtract(left, right), clip(left, low, high)):
        assert well_formed(found)


@settings(fixed, max_examples=200)
@given(sets, st.integers(0, 30), st.integers(0, 5))
def test_an_instant_is_usable_if_its_time_stays_permitted(times: Intervals, at: int, remaining: int) -> None:
    stays = set(range(at, at + remaining + 1)) <= members(times)
    assert covers(times, at, remaining) == stays
    assert covers(usable(times, remaining), at, remaining) == stays


RULES = """
[[permitted_hours]]
id = "h"
applies_to = ["promotional", "service"]
daily = [["08:00", "12:30"], ["13:30", "21:00"]]
sun = [["10:00", "12:00"]]
[[frequency_cap]]
id = "c"
limit = 2
per = "30h"
[[frequency_cap]]
id = "d"
limit = 1
per = "day"
applies_to = ["promotional"]
[[minimum_gap]]
id = "g"
between = "45m"
[messaging_window]
margin = "5m"
"""
POLICIES = [
    load_policy("default"),
    load_policy("platform-only"),
    *(
        parse_policy(f'[policy]\nname = "t"\njurisdictions = "courtesy"\n[unknown_zone]\n{mode}\n{RULES}', where="t")
        for mode in ('mode = "all_candidates"', 'mode = "hold"', 'mode = "fallback"\nzone = "Asia/Tokyo"')
    ),
]

seconds = st.integers(-3 * DAY, 3 * DAY).map(lambda offset: NOW + offset)
sends = st.lists(
    st.builds(
        Send,
        at=st.integers(NOW - 4 * DAY, NOW),
        category=st.sampled_from(["promotional", "utility", "service"]),
        ground=st.just("standard_window"),
    ),
    max_size=4,
).map(tuple)
facts_of_anyone = st.builds(
    Facts,
    timezones=st.sampled_from(
        [(), ("Europe/Berlin",), ("America/New_York",), ("Asia/Kolkata", "Asia/Bangkok"), ("Australia/Lord_Howe",)]
    ),
    utc_offset=st.sampled_from([None, None, 60, -210]),
    country=st.sampled_from([None, "US", "DE", "TW"]),
    region=st.sampled_from([None, None, "US-FL", "US-TX"]),
    last_inbound=st.one_of(st.none(), st.integers(NOW - 2 * DAY, NOW)),
    opted_out=st.sampled_from([False] * 9 + [True]),
    handover=st.sampled_from([False] * 9 + [True]),
    campaign_paused=st.sampled_from([False] * 9 + [True]),
    category=st.sampled_from(["promotional", "promotional", "utility", "service"]),
    template_approved=st.booleans(),
    not_before=st.one_of(st.none(), st.none(), seconds),
    expires_at=st.one_of(st.none(), st.none(), seconds),
    sends=sends,
)
policies = st.sampled_from(POLICIES)
guards = st.sampled_from([0, 2, 600])


@settings(fixed, max_examples=600)
@given(policies, facts_of_anyone, guards, st.integers(0, 2 * DAY))
@example(POLICIES[0], Facts(last_inbound=NOW), 0, 0)
def test_a_decision_is_what_the_permitted_times_say(policy, facts, guard, later):  # type: ignore[no-untyped-def]
    times = usable(permitted(policy, facts, NOW), guard)
    decision = decide(policy, facts, NOW, min_remaining=guard)
    assert decision.reason != "rule_error"
    if decision.verdict == "send":
        assert covers(times, NOW, guard)
        assert (decision.because, decision.reason, decision.wakes_on) == ((), None, None)
    elif decision.verdict == "deny":
        assert times == ()
        assert decision.because
    elif decision.at is None:
        assert permitted(policy, facts, NOW) == ()
        assert decision.wakes_on is not None
    else:
        assert not covers(times, NOW, guard)
        assert decision.at == times[0][0]
    if decision.at is not None:
        assert decision.ground is not None
        assert decision.closes_at == times[0][1]
        assert decision.deadline == times[-1][1]
        # A later look at the same facts agrees: the send is still permitted, and nothing before it was.
        again = decide(policy, facts, decision.at, min_remaining=guard)
        assert (again.verdict, again.ground) == ("send", decision.ground)
        between = NOW + later % max(1, decision.at - NOW)
        assert between == decision.at or decide(policy, facts, between, min_remaining=guard).at == decision.at
    order = [PRECEDENCE.index(name) for name in decision.because]
    assert order == sorted(set(order))


@settings(fixed, max_examples=300)
@given(policies, facts_of_anyone, st.integers(0, 4 * DAY))
def test_a_decision_at_any_instant_is_membership(policy, facts, later):  # type: ignore[no-untyped-def]
    at = NOW + later
    if facts.handover or facts.campaign_paused or decide(policy, facts, NOW).because == ("unknown_zone",):
        return
    assert covers(permitted(policy, facts, NOW), at, 0) == (decide(policy, facts, at).verdict == "send")


@settings(fixed, max_examples=150)
@given(policies, facts_of_anyone, guards)
def test_findings_agree_with_the_decision(policy, facts, guard):  # type: ignore[no-untyped-def]
    decision, findings = explain(policy, facts, NOW, min_remaining=guard)
    assert decision == decide(policy, facts, NOW, min_remaining=guard)
    if decision.verdict == "send":
        assert all(finding.permits_now for finding in findings)
    if decision.verdict == "defer":
        assert {finding.rule for finding in findings if not finding.permits_now} == set(decision.because)
    assert all(finding.permits_now == (finding.reason is None) for finding in findings)


@settings(fixed, max_examples=200)
@given(policies, facts_of_anyone)
def test_a_bar_never_permits_and_lifting_a_hold_never_forbids(policy, facts):  # type: ignore[no-untyped-def]
    barred = decide(policy, replace(facts, blocked=True), NOW)
    assert (barred.verdict, barred.because) == ("deny", ("suppression",))
    free = replace(facts, handover=False, campaign_paused=False)
    held = decide(policy, facts, NOW)
    if held.verdict != "deny":
        assert decide(policy, free, NOW).verdict != "deny"
    assert facts_from_json(facts_to_json(facts)) == facts
