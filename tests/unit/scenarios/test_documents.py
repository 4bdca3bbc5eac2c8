"""What the guides to scenarios and CI show can be run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from policies.scenarios.coverage import Coverage
from policies.scenarios.expectations import FIELDS
from policies.scenarios.find import find_files
from policies.scenarios.parse import load_scenarios, read_scenarios
from policies.scenarios.people import matrix_keys
from policies.scenarios.report import failure_text
from policies.scenarios.run import run_file
from policies.scenarios.vocabulary import EVENTS, GROUNDS, RULES, SWITCHES, WAKES_ON

ROOT = Path(__file__).parents[3]
pytest_plugins = ["pytester"]

GUIDE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
CI = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL))
def test_the_guide_shows_scenarios_that_pass(example: str) -> None:
    for result in run_file(read_scenarios(example, str(ROOT / "docs" / "scenarios.md"))):
        assert result.passed, failure_text(result)


@pytest.mark.parametrize("path", find_files([ROOT / "docs"]), ids=lambda path: path.name)
def test_the_examples_pass(path: Path) -> None:
    for result in run_file(load_scenarios(path)):
        assert result.passed, failure_text(result)


def test_the_guide_names_every_word_of_the_grammar() -> None:
    for word in (*matrix_keys(), *FIELDS, *EVENTS, *GROUNDS, *RULES, *SWITCHES, *WAKES_ON):
        assert f"`{word}`" in GUIDE, word


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_the_guide_shows_tests_that_pass(example: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(example)
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_workflow_in_the_guide_is_the_one_in_the_examples() -> None:
    shown, *_ = re.findall(r"```yaml\n(.*?)```", CI, re.DOTALL)
    example = (ROOT / "docs" / "examples" / "policies.workflow.yml").read_text(encoding="utf-8")
    assert shown == example.partition("\n")[2]
    steps = yaml.safe_load(example)["jobs"]["policies"]["steps"]
    assert [step["run"].split()[:3] for step in steps if "run" in step][1:] == [
        ["duly", "policy", "lint"], ["duly", "policy", "test"],
    ]  # fmt: skip


def test_the_coverage_that_the_guides_ask_for_is_reached_by_the_examples() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "examples").glob("*.yml")]
    asked = [found for page in pages for found in re.findall(r"--fail-under (\d+)", page.read_text(encoding="utf-8"))]
    coverage = Coverage()
    for path in find_files([ROOT / "docs"]):
        run_file(load_scenarios(path), coverage.observe)
    reached = coverage.report().percent
    assert f"reaches {reached:.0f} %" in CI
    assert len(asked) >= 3
    assert all(float(each) < reached for each in asked)


def test_every_yaml_in_the_guide_can_be_read() -> None:
    for example in re.findall(r"```yaml\n(.*?)```", CI, re.DOTALL):
        assert yaml.safe_load(example)


def test_the_hooks_that_the_guide_names_are_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == ["duly-policy-test", "duly-policy-lint"]
    for hook in hooks:
        assert f"- id: {hook['id']}" in CI
        assert hook["entry"].split()[0] == "duly"
        re.compile(hook["files"])
