"""The product's own scenarios, as a whole: both ways to a decision keep them, and nothing that can decide is left out.

Each scenario by itself is `duly policy test tests/scenarios`, or pytest's collection of these files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from policies import engine
from policies.decision import PRECEDENCE
from policies.scenarios.coverage import Coverage, coverage_lines
from policies.scenarios.model import Scenario
from policies.scenarios.parse import load_scenarios
from policies.scenarios.run import run_all
from policies.scenarios.vocabulary import GROUNDS, REASONS, VERDICTS, WAKES_ON

FOLDER = Path(__file__).parent

#: No facts that a scenario can state make a rule raise.
_NOT_BY_FACTS = {"rule_error"}


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    paths = sorted(FOLDER.rglob("*.scenarios.toml"))
    return [scenario for path in paths for scenario in load_scenarios(path).scenarios]


def test_there_are_enough_of_them_and_each_is_named_once(scenarios: list[Scenario]) -> None:
    headers = {(scenario.where, scenario.line) for scenario in scenarios}
    assert len(headers) >= 220
    names = [scenario.name for scenario in scenarios]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_all_of_them_are_kept_and_every_clause_decides(scenarios: list[Scenario]) -> None:
    watched = Coverage()
    failed = [result.scenario.name for result in run_all(scenarios, watched.observe) if not result.passed]
    assert failed == []
    report = watched.report()
    assert report.decided == len(report.rows), "\n".join(coverage_lines(report))


def test_the_rules_themselves_keep_them_without_the_short_way(
    scenarios: list[Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "decide_plain", lambda *_: None)
    assert [result.scenario.name for result in run_all(scenarios) if not result.passed] == []


def test_every_word_of_a_decision_comes_up(scenarios: list[Scenario]) -> None:
    """Expected by a scenario, not merely decided: a word that nobody expects is a word that nobody checks."""
    expected = [
        check.step.expect for result in run_all(scenarios) for check in result.checks if check.step.expect is not None
    ]
    told = {field: {each[field] for each in expected if field in each} for field in ("verdict", "reason", "ground")}
    assert told["verdict"] == set(VERDICTS)
    assert told["reason"] - {None} == set(REASONS) - _NOT_BY_FACTS
    assert told["ground"] - {None} == set(GROUNDS)
    woken = {each["wakes_on"] for each in expected if each.get("wakes_on")}
    assert woken == set(WAKES_ON)
    blamed = [each["because"] for each in expected if "because" in each]
    assert {rule for rules in blamed if isinstance(rules, tuple) for rule in rules} == set(PRECEDENCE)
