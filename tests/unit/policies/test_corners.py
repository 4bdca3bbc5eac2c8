"""Corners that no ordinary document or message comes to."""

from __future__ import annotations

import pytest

from policies.engine import decide
from policies.facts import Facts
from policies.policy import PolicyError, parse_policy
from policies.toml_source import read_toml
from policies.wording import hours_words

NOW = 1_780_000_000


def test_hours_that_never_open_leave_nothing() -> None:
    policy = parse_policy('[policy]\nname = "t"\n[[permitted_hours]]\nid = "shut"\ndaily = []\n', where="t")
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
