"""Clause coverage: what decided, of all that could have."""

from __future__ import annotations

from pathlib import Path

from policies.clauses import clauses
from policies.facts import Facts
from policies.policy import load_policy, parse_policy
from policies.scenarios.coverage import Coverage, coverage_as_json, coverage_lines
from policies.scenarios.find import find_files
from policies.scenarios.parse import load_scenarios
from policies.scenarios.run import run_all

NOW = 1_778_068_800  # 2026-05-06 12:00 UTC


def test_a_text_that_two_policies_share_is_one() -> None:
    coverage = Coverage()
    for name in ("one", "two"):
        policy = parse_policy(f'[policy]\nname = "{name}"\nextends = "default"\n', where="p")
        coverage.observe(policy, Facts(timezones=("UTC",), last_inbound=NOW - 60, country="GB"), NOW)
    report = coverage.report()
    (row,) = [row for row in report.rows if row.clause.id == "permitted_hours.house"]
    assert (row.policies, row.decided) == (("one", "two"), 0)
    (row,) = [row for row in report.rows if row.clause.id == "platform.standard_window"]
    assert (row.policies, row.decided) == (("one", "two"), 2)
    assert report.decided == 1
    assert report.percent == 100 / len(report.rows)


def test_an_entry_that_a_policy_changes_is_its_own() -> None:
    coverage = Coverage()
    own = '[[permitted_hours]]\nid = "house"\ndaily = [["13:00", "14:00"]]\n'
    for policy in (
        load_policy("default"),
        parse_policy(f'[policy]\nname = "own"\nextends = "default"\n{own}', where="p"),
    ):
        coverage.observe(policy, Facts(timezones=("Atlantic/Reykjavik",), last_inbound=NOW - 60), NOW)
    rows = [row for row in coverage.report().rows if row.clause.id == "permitted_hours.house"]
    assert [(row.policies, row.decided) for row in rows] == [(("default",), 0), (("own",), 1)]


def test_where_all_decided_nothing_is_listed() -> None:
    coverage = Coverage()
    coverage.observe(load_policy("platform-only"), Facts(timezones=("UTC",), last_inbound=NOW - 60), NOW)
    report = coverage.report()
    assert "never decided:" in coverage_lines(report)
    only = type(report)(rows=tuple(row for row in report.rows if row.decided))
    assert coverage_lines(only) == ["clause coverage: 1 of 1 decided something, 100.0 %"]
    assert coverage_as_json(only)["percent"] == 100


def test_whatever_decides_is_among_what_could() -> None:
    coverage = Coverage()
    known = set()
    for path in find_files([Path(__file__).parents[3] / "docs"]):
        scenarios = load_scenarios(path).scenarios
        known |= {clause.id for scenario in scenarios for clause in clauses(scenario.policy)}
        assert all(result.passed for result in run_all(scenarios, coverage.observe))
    assert {clause for _, clause in coverage._counts} <= known
