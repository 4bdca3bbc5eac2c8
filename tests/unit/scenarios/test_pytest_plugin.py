"""The pytest plugin as a project that installed Duly meets it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from policies.pytest_plugin import Frozen
from scheduler import clock

pytest_plugins = ["pytester"]

SCENARIOS = """policy = "default"
[defaults.contact]
timezone = "America/New_York"
country = "US"

[[scenario]]
name = "a promotion at 21:30 waits for the morning"
at = 2026-03-07T21:30:00-05:00
contact = { last_inbound = "2h ago" }
expect  = { verdict = "defer", until = 2026-03-08T08:00:00-04:00 }

[[scenario]]
name = "nights"
contact = { last_inbound = "2h ago" }
matrix = { at = [2026-03-07T21:30:00-05:00, 2026-03-07T12:30:00-05:00] }
expect  = { verdict = "defer" }
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a scenario file. Its runs load the plugin as pytest does: by its entry point."""
    pytester.makefile(".scenarios.toml", shop=SCENARIOS)
    return pytester


def test_scenario_files_are_collected_one_test_a_result(project: pytest.Pytester) -> None:
    result = project.runpytest("-v", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "shop.scenarios.toml::a promotion at 21:30 waits for the morning PASSED*",
            "shop.scenarios.toml::nights [[]at=2026-03-07T21:30:00-05:00[]] PASSED*",
            "shop.scenarios.toml::nights [[]at=2026-03-07T12:30:00-05:00[]] FAILED*",
            "shop.scenarios.toml:12: nights [[]at=2026-03-07T12:30:00-05:00[]] (policy default)",
            "  at 2026-03-07 12:30 EST = 2026-03-07T17:30:00Z (line 12)",
            "    verdict    expected defer, got send",
            "    permits    quiet_hours: *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_test_knows_its_line(project: pytest.Pytester) -> None:
    items, _ = project.inline_genitems()
    assert [item.reportinfo()[1:] for item in items] == [
        (5, "a promotion at 21:30 waits for the morning"),
        (11, "nights [at=2026-03-07T21:30:00-05:00]"),
        (11, "nights [at=2026-03-07T12:30:00-05:00]"),
    ]


def test_words_and_node_ids_choose(project: pytest.Pytester) -> None:
    project.runpytest("-k", "promotion").assert_outcomes(passed=1, deselected=2)
    name = "shop.scenarios.toml::nights [at=2026-03-07T21:30:00-05:00]"
    project.runpytest(name).assert_outcomes(passed=1)


def test_a_file_that_is_wrong_is_an_error_of_collection(project: pytest.Pytester) -> None:
    project.makefile(".scenarios.toml", wrong=SCENARIOS.replace("last_inbound", "last_inbond"))
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["wrong.scenarios.toml:9: `scenario.contact.last_inbond`: is not known here; *"])


def test_other_files_are_left_alone_and_the_plugin_can_be_turned_off(project: pytest.Pytester) -> None:
    project.makefile(".toml", other="x = ")
    project.makepyfile("def test_it(): pass")
    project.runpytest().assert_outcomes(passed=3, failed=1)
    project.runpytest("-p", "no:duly").assert_outcomes(passed=1)


def test_scenarios_run_on_several_workers(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=2, failed=1)


def test_nothing_of_duly_is_loaded_until_there_is_a_scenario_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            known = {"policies", "policies.pytest_plugin"}
            assert {name for name in sys.modules if name.split(".")[0] in ("policies", "scheduler")} == known
            assert "freezegun" not in sys.modules
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_code_of_policies_is_measured_by_coverage(project: pytest.Pytester) -> None:
    run = [sys.executable, "-m", "coverage", "run", "--source=policies", "-m", "pytest", "-q", "-k", "promotion"]
    assert subprocess.run(run, cwd=project.path, check=False, capture_output=True).returncode == 0
    report = [sys.executable, "-m", "coverage", "report"]
    told = subprocess.run(report, cwd=project.path, check=True, capture_output=True, text=True).stdout
    measured = {
        line.split()[0].rsplit("policies/")[-1]: line.split()[-1] for line in told.splitlines() if ".py" in line
    }
    assert int(measured["scenarios/parse.py"].rstrip("%")) > 60
    # Where it were imported before the measuring, none of its class would be counted.
    assert int(measured["decision.py"].rstrip("%")) > 90
    assert int(measured["pytest_plugin.py"].rstrip("%")) > 40


def test_frozen_stops_every_clock_until_the_test_ends(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time
        from datetime import datetime, UTC
        from scheduler import clock

        def test_it(frozen):
            frozen("2026-03-07T21:30-05:00")
            assert clock.now() == 1772937000
            assert datetime.now(UTC).isoformat() == "2026-03-08T02:30:00+00:00"
            frozen.tick(90)
            assert clock.now() == 1772937090

        def test_after_it():
            assert clock.now() > 1772937090
        """
    )
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_frozen_moves_and_ticks(frozen: Frozen) -> None:
    assert frozen("2026-03-07T21:30-05:00") is frozen
    assert clock.now() == 1_772_937_000
    frozen.tick()
    frozen.tick(timedelta(minutes=1))
    assert clock.now_exact() == 1_772_937_061
    frozen(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.now() == 1_767_225_600
    frozen(1_767_225_500)  # back as well
    assert clock.now() == 1_767_225_500
    frozen.release()
    assert clock.now() > 1_772_937_061
    frozen.release()


@pytest.mark.parametrize("instant", ["2026-03-07T21:30", datetime(2026, 3, 7), "yesterday", None])  # noqa: DTZ001 - that is the mistake
def test_an_instant_that_nobody_knows_is_refused(frozen: Frozen, instant: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 2026-03-07T21:30-05:00"):
        frozen(instant)


def test_time_that_runs_cannot_be_ticked(frozen: Frozen) -> None:
    with pytest.raises(RuntimeError, match="does not stand still yet"):
        frozen.tick()


def test_without_freezegun_a_frozen_clock_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, frozen: Frozen) -> None:
    monkeypatch.setitem(sys.modules, "freezegun", None)
    with pytest.raises(pytest.UsageError, match="pip install freezegun"):
        frozen(0)


def test_an_error_of_our_own_is_shown_as_one(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a fault in the runner")

    monkeypatch.setattr("policies.scenarios.run.run_scenario", broken)
    result = project.runpytest("-k", "promotion")
    result.stdout.fnmatch_lines(["*ZeroDivisionError: a fault in the runner*"])
