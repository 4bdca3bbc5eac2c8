from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.diff import Change, Counterexample, diff
from policies.engine import decide
from policies.facts import Facts
from policies.policy import Policy, load_policy, parse_policy

#: 2026-11-21T00:00:00Z.
AT = 1_795_219_200
DEFAULT = load_policy("default")


def policy(more: str = "", *, extends: str | None = "default", name: str = "x") -> Policy:
    head = f'[policy]\nname = "{name}"\n' + (f'extends = "{extends}"\n' if extends else "")
    return parse_policy(head + more, where="x.policy.toml")


def hours(daily: str, more: str = "", applies_to: str = '["promotional"]') -> str:
    return f'[[permitted_hours]]\nid = "house"\napplies_to = {applies_to}\ndaily = {daily}\n{more}\n'


def cap(id_: str, limit: int, per: str, applies_to: str = '["promotional"]') -> str:
    return f'[[frequency_cap]]\nid = "{id_}"\nlimit = {limit}\nper = "{per}"\napplies_to = {applies_to}\n'


def confirm(change: Change, old: Policy) -> None:
    """Every example of the change says so by ``decide`` alone."""
    for example, first, second in ((change.stricter, old, change.against), (change.looser, change.against, old)):
        if example is not None:
            assert decide(first, example.facts, example.at).verdict == "send"
            assert decide(second, example.facts, example.at).verdict != "send"
    for example in (change.stricter, change.looser, change.reason):
        if example is not None:
            assert example.old == decide(old, example.facts, example.at)
            assert example.new == decide(change.against, example.facts, example.at)


PAIRS = {
    "margin longer": ("", '[messaging_window]\nmargin = "10m"\n', "messaging_window.margin", "stricter"),
    "margin shorter": ("", '[messaging_window]\nmargin = "0s"\n', "messaging_window.margin", "looser"),
    "advertisements": (
        "", "[messaging_window]\nclick_to_messenger = true\n", "messaging_window.click_to_messenger", "looser",
    ),
    "hours shifted": ("", hours('[["09:00", "22:00"]]'), "permitted_hours.house", "both"),
    "hours shortened": ("", hours('[["09:00", "21:00"]]'), "permitted_hours.house", "stricter"),
    "hours lengthened by a second's minute": ("", hours('[["08:00", "21:01"]]'), "permitted_hours.house", "looser"),
    "hours for one more category": (
        "", hours('[["08:00", "21:00"]]', applies_to='["promotional", "utility"]'), "permitted_hours.house", "stricter",
    ),
    "a day closed": ("", hours('[["08:00", "21:00"]]', "sun = []"), "permitted_hours.house", "stricter"),
    "holidays closed": (
        "", hours('[["08:00", "21:00"]]', 'holiday = []\nholidays = "contact"'), "permitted_hours.house", "stricter",
    ),
    "holidays shifted": (
        "", hours('[["08:00", "21:00"]]', 'holiday = [["10:00", "22:00"]]\nholidays = "contact"'),
        "permitted_hours.house", "both",
    ),
    "before a holiday": (
        "", hours('[["08:00", "21:00"]]', 'before_holiday = [["08:00", "12:00"]]\nholidays = "DE"'),
        "permitted_hours.house", "stricter",
    ),
    "limit up": ("", cap("daily", 2, "24h"), "frequency_cap.daily", "looser"),
    "weekly limit down": ("", cap("weekly", 2, "7d"), "frequency_cap.weekly", "stricter"),
    "period shorter": ("", cap("daily", 1, "12h"), "frequency_cap.daily", "looser"),
    "a rolling day becomes a calendar day": ("", cap("daily", 1, "day"), "frequency_cap.daily", "looser"),
    "a rolling week becomes a calendar week": ("", cap("weekly", 3, "week"), "frequency_cap.weekly", "looser"),
    "category added to a cap": (
        "", cap("daily", 1, "24h", '["promotional", "utility"]'), "frequency_cap.daily", "stricter",
    ),
    "other category": ("", cap("daily", 1, "24h", '["utility"]'), "frequency_cap.daily", "both"),
    "a cap more": ("", cap("monthly", 5, "30d"), "frequency_cap.monthly", "stricter"),
    "a gap": ("", '[[minimum_gap]]\nid = "gap"\nbetween = "2h"\n', "minimum_gap.gap", "stricter"),
    "a gap that the cap implies": (
        "", '[[minimum_gap]]\nid = "gap"\nbetween = "2h"\napplies_to = ["promotional"]\n', "minimum_gap.gap",
        "other reason",
    ),
    "legal to courtesy": (
        'jurisdictions = "legal"\n', 'jurisdictions = "courtesy"\n', "policy.jurisdictions", "stricter",
    ),
    "legal to off": ('jurisdictions = "legal"\n', 'jurisdictions = "off"\n', "policy.jurisdictions", "looser"),
    "legal to courtesy, with consent": (
        'jurisdictions = "legal"\n[consent]\nrequire = "packs"\n',
        'jurisdictions = "courtesy"\n[consent]\nrequire = "packs"\n', "policy.jurisdictions", "stricter",
    ),
    "consent": ("", '[consent]\nrequire = "packs"\n', "consent.require", "stricter"),
    "consent no longer": ('[consent]\nrequire = "packs"\n', "", "consent.require", "looser"),
    "hold": ("", '[unknown_zone]\nmode = "hold"\n', "unknown_zone", "stricter"),
    "hold no longer": ('[unknown_zone]\nmode = "hold"\n', "", "unknown_zone", "looser"),
    "fallback": ("", '[unknown_zone]\nmode = "fallback"\nzone = "Europe/Berlin"\n', "unknown_zone", "looser"),
    "hand-over sooner": ("", '[handover]\ntimeout = "1d"\n', "handover.timeout", "looser"),
    "hand-over never": ("", '[handover]\ntimeout = "never"\n', "handover.timeout", "stricter"),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS.values(), ids=PAIRS)
def test_the_direction_of_a_change_is_found_and_shown(case: tuple[str, str, str, str]) -> None:
    before, after, clause, direction = case
    old, new = policy(before), policy(after)
    found = diff(old, new, at=AT, budget=50)
    assert [(change.clause, change.direction) for change in found.changes] == [(clause, direction)]
    assert (found.same, found.overall.direction) == (False, direction)
    for change in (*found.changes, found.overall):
        confirm(change, old)
    back = diff(new, old, at=AT, budget=50).overall.direction
    assert back == {"stricter": "looser", "looser": "stricter"}.get(direction, direction)


def test_what_means_the_same_is_the_same_without_a_search() -> None:
    found = diff(policy(name="one"), policy(cap("daily", 1, "1d"), name="other"), at=AT)
    assert (found.same, found.changes, found.overall.trials) == (True, (), 0)


def test_a_change_of_which_nothing_is_found_says_in_how_many_trials() -> None:
    old, new = policy(cap("far", 5000, "30d")), policy(cap("far", 5001, "30d"))
    found = diff(old, new, at=AT, budget=20)
    assert not found.same
    assert found.overall.direction == found.changes[0].direction == "none found"
    assert found.changes[0].trials >= 20


def test_a_calendar_day_of_25_hours_is_stricter_than_a_rolling_day() -> None:
    # Where no hours hide the end of the day.
    old, new = (policy(cap("daily", 1, per), extends=None) for per in ("24h", "day"))
    assert diff(old, new, at=AT).overall.direction == "both"


def test_another_platform_is_a_clause_of_its_own() -> None:
    new = replace(DEFAULT, utility_categories=("utility", "service"), bindings={})
    (change,) = diff(DEFAULT, new, at=AT).changes
    assert (change.clause, change.direction) == ("policy.utility_categories", "looser")
    confirm(change, DEFAULT)


def test_several_clauses_each_have_their_own_direction() -> None:
    found = diff(DEFAULT, load_policy("platform-only"), at=AT)
    directions = {change.clause: change.direction for change in found.changes}
    assert directions == {
        "policy.jurisdictions": "looser", "messaging_window.margin": "looser", "permitted_hours.house": "looser",
        "frequency_cap.daily": "looser", "frequency_cap.weekly": "looser", "handover.timeout": "stricter",
    }  # fmt: skip
    assert found.overall.direction == "both"
    rows = found.changes[0].after
    assert rows is not None
    assert "rows no longer bind" in rows


def test_one_clause_alone() -> None:
    new = policy(hours('[["09:00", "21:00"]]') + '[messaging_window]\nmargin = "0s"\n')
    found = diff(DEFAULT, new, at=AT, clause="messaging_window.margin")
    assert [change.direction for change in found.changes] == ["looser"]
    with pytest.raises(ValueError, match=r"do not differ in `x`; they do in messaging_window.margin"):
        diff(DEFAULT, new, at=AT, clause="x")
    with pytest.raises(ValueError, match="the policies say the same"):
        diff(DEFAULT, DEFAULT, at=AT, clause="x")


def test_an_example_is_as_small_as_it_can_be_and_at_the_first_instant() -> None:
    found = diff(DEFAULT, policy(cap("daily", 2, "24h")), at=AT)
    example = found.changes[0].looser
    assert example is not None
    assert len(example.facts.sends) == 1
    assert example.facts == replace(
        Facts(), last_inbound=example.facts.last_inbound, timezones=example.facts.timezones, sends=example.facts.sends
    )
    shorter = diff(DEFAULT, policy(hours('[["09:00", "21:00"]]')), at=AT).changes[0].stricter
    assert shorter is not None
    assert shorter.at % 86_400 == 8 * 3600
    assert shorter.new.at == shorter.at + 3600


def test_a_search_ends_early_when_it_is_told_to() -> None:
    looks = iter([False, False, False])
    found = diff(load_policy("default"), load_policy("platform-only"), at=AT, tired=lambda: next(looks, True))
    assert [change.trials for change in found.changes][:2] == [3, 0]
    assert all(change.cut_short for change in (*found.changes, found.overall))
    assert found.overall.trials == 0
    assert found.overall.direction == "none found"


def test_the_same_seed_is_the_same_search() -> None:
    new = policy(hours('[["09:00", "22:00"]]'))
    found = diff(DEFAULT, new, at=AT, seed=7)
    assert found == diff(DEFAULT, new, at=AT, seed=7)
    assert not any(change.cut_short for change in (*found.changes, found.overall))


clock = st.integers(0, 47).map(lambda half: f"{half // 2:02d}:{half % 2 * 30:02d}")
rows = st.tuples(clock, clock).filter(lambda row: row[0] < row[1]).map(lambda row: f'[["{row[0]}", "{row[1]}"]]')
categories = st.sampled_from(['["promotional"]', '["utility"]', '["promotional", "service"]'])
changes = st.one_of(
    st.builds(hours, rows, st.sampled_from(["", "sun = []"]), categories),
    st.builds(cap, st.just("daily"), st.integers(1, 3), st.sampled_from(["6h", "24h", "day", "3d"]), categories),
    st.builds(cap, st.just("weekly"), st.integers(1, 5), st.sampled_from(["7d", "week"]), categories),
    st.integers(0, 23).map(lambda hour: f'[messaging_window]\nmargin = "{hour}h"\n'),
    st.sampled_from(["all_candidates", "hold"]).map(lambda mode: f'[unknown_zone]\nmode = "{mode}"\n'),
    st.sampled_from(["courtesy", "legal", "off"]).map(lambda mode: f'jurisdictions = "{mode}"\n'),
)


@settings(max_examples=25, deadline=None)
@given(before=changes, after=changes, seed=st.integers(0, 9))
def test_whatever_changes_what_is_claimed_is_so(before: str, after: str, seed: int) -> None:
    old, new = policy(before), policy(after)
    found = diff(old, new, at=AT, seed=seed, budget=20)
    assert found.same == (old.document == new.document)
    for change in (*found.changes, found.overall):
        confirm(change, old)


def test_what_is_found_speaks_for_itself() -> None:
    found: Any = diff(DEFAULT, policy('[consent]\nrequire = "packs"\n'), at=AT).changes[0].stricter
    assert isinstance(found, Counterexample)
    assert (found.new.verdict, found.new.reason) == ("deny", "no_consent")


def test_a_large_cap_that_changed_is_tried_at_its_limit() -> None:
    old, new = (policy(cap("many", limit, "30d"), extends=None) for limit in (60, 61))
    found = diff(old, new, at=AT, budget=0).changes[0]
    assert found.direction == "looser"
    confirm(found, old)


def test_a_week_that_is_longer_than_seven_days_is_stricter_than_they_are() -> None:
    old, new = (policy(cap("weekly", 3, per), extends=None) for per in ("7d", "week"))
    found = diff(old, new, at=AT, budget=0).changes[0]
    assert found.direction == "both"
    confirm(found, old)
