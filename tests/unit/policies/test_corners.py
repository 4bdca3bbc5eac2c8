"""Corners that no ordinary document or message comes to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.engine import decide
from policies.facts import Facts, Send, Token
from policies.policy import PolicyError, parse_policy
from policies.toml_source import read_toml
from policies.wording import hours_words

NOW = 1_780_000_000
NOON = int(datetime(2026, 5, 5, 12, tzinfo=UTC).timestamp())
SHUT = '[policy]\nname = "t"\n[[permitted_hours]]\nid = "shut"\ndaily = []\n'
DAYTIME = '[policy]\nname = "t"\n[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "23:30"]]\n'


def test_hours_that_never_open_leave_nothing() -> None:
    policy = parse_policy(SHUT, where="t")
    decision = decide(policy, Facts(timezones=("UTC",), last_inbound=NOW), NOW)
    assert (decision.verdict, decision.because) == ("deny", ("quiet_hours",))
    assert decision.reason == "closed_day"


def test_a_day_without_a_row_is_told_as_open() -> None:
    policy = parse_policy('[policy]\nname = "t"\n[[permitted_hours]]\nid = "h"\nsun = []\nsat = [["08:00", "12:00"]]\n',
                          where="t")  # fmt: skip
    assert hours_words(policy.hours[0]) == "open, sat 08:00-12:00, sun closed"


def test_a_document_nested_beyond_reading_is_refused() -> None:
    with pytest.raises(PolicyError, match="nested too deeply"):
        read_toml("a = " + "[" * 100_000 + "]" * 100_000, where="t.toml")


def test_a_value_where_a_table_should_be_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"consent.*must be a table, \[consent\]"):
        parse_policy('consent = "packs"\n[policy]\nname = "t"\n', where="t")


def test_a_table_names_its_keys() -> None:
    assert list(read_toml("a = 1\nb = 2\n", where="t")) == ["a", "b"]


def test_a_closed_day_before_a_holiday_is_told_as_one() -> None:
    text = """
[policy]
name = "t"
[[permitted_hours]]
id = "h"
daily = [["09:00", "18:00"]]
before_holiday = []
holidays = "FR"
"""
    now = int(datetime(2026, 12, 24, 11, tzinfo=UTC).timestamp())
    decision = decide(parse_policy(text, where="t"), Facts(timezones=("Europe/Paris",), last_inbound=now - 7200), now)
    assert (decision.verdict, decision.because, decision.reason) == ("defer", ("quiet_hours",), "closed_day")


def test_hours_that_do_not_outlast_the_window_are_not_its_reason() -> None:
    # Nothing alone helps: too early for the message, too soon after the last, and the window closes; the hours are
    # open until then, and closed in the last hour before the expiry.
    text = DAYTIME + '[[minimum_gap]]\nid = "gap"\nbetween = "43h"\n'
    facts = Facts(
        timezones=("UTC",),
        last_inbound=NOON,
        not_before=NOON + 30 * 3600,
        expires_at=NOON + 44 * 3600,
        sends=(Send(at=NOON, category="promotional"),),
    )
    decision = decide(parse_policy(text, where="t"), facts, NOON)
    assert decision.because == ("messaging_window", "schedule", "minimum_gap", "quiet_hours")
    assert (decision.verdict, decision.reason) == ("deny", "window_closed")


def test_a_ground_that_comes_after_the_expiry_is_no_window() -> None:
    token = Token(kind="marketing", last_used_at=NOON)
    facts = Facts(timezones=("UTC",), country="US", tokens=(token,), not_before=NOON + 7200, expires_at=NOON + 3600)
    decision = decide(parse_policy(SHUT, where="t"), facts, NOON)
    assert decision.because == ("messaging_window", "schedule", "quiet_hours")
    assert (decision.verdict, decision.reason) == ("deny", "window_closed")
