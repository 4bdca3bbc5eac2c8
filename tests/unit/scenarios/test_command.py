"""``duly policy test`` as a CI job meets it: its output, its reports, its exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from typer.testing import CliRunner

from scheduler.cli import main
from tests.patience import patience

GOOD = """policy = "default"
[defaults.contact]
timezone = "America/New_York"
country = "US"
[[scenario]]
name = "a promotion at 21:30 waits for the morning"
at = 2026-03-07T21:30:00-05:00
contact = { last_inbound = "2h ago" }
expect  = { verdict = "defer", until = 2026-03-08T08:00:00-04:00, because = ["quiet_hours"] }
"""
BAD = """policy = "default"
[[scenario]]
name = "a promotion in the <night> goes"
at = 2026-03-07T21:30:00-05:00
contact = { timezone = "America/New_York", country = "US", last_inbound = "2h ago" }
expect  = { verdict = "send", ground = "standard_window", until = "none", because = [] }
[[scenario]]
name = "a promotion by day goes"
at = 2026-03-07T12:30:00-05:00
contact = { timezone = "America/New_York", country = "US", last_inbound = "2h ago" }
expect  = { verdict = "send" }
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.scenarios.toml").write_text(GOOD)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "bad.scenarios.toml").write_text(BAD)
    (tmp_path / "deep" / "ignored.toml").write_text("x = ")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "hidden.scenarios.toml").write_text("x = ")
    return tmp_path


def duly(*arguments: str) -> Any:
    return CliRunner().invoke(main.app, ["policy", "test", *arguments])


@pytest.mark.parametrize(
    ("arguments", "code"), [(["good.scenarios.toml"], 0), (["."], 1), (["none.scenarios.toml"], 2)]
)
def test_another_process_ends_with_the_same_codes(files: Path, arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "scheduler.cli.main", "policy", "test", *arguments]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False, timeout=patience(60))
    assert done.returncode == code
    assert bool(done.stderr) is (code == 2)
    assert bool(done.stdout) is (code != 2)


def test_all_as_expected_ends_with_0(files: Path) -> None:
    done = duly("good.scenarios.toml")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("1 passed in 1 file, ")
    assert duly("-q", "good.scenarios.toml").stdout == ""
    told = duly("-v", "good.scenarios.toml").stdout
    assert told.startswith("ok   good.scenarios.toml:5  a promotion at 21:30 waits for the morning\n1 passed")


def test_a_failure_ends_with_1_and_shows_expected_against_got_with_the_findings(files: Path) -> None:
    done = duly(".", "deep/bad.scenarios.toml")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "FAIL deep/bad.scenarios.toml:2  a promotion in the <night> goes"
    assert lines[1] == "  at 2026-03-07 21:30 EST = 2026-03-08T02:30:00Z (line 2)"
    assert "    verdict    expected send, got defer" in lines
    assert "    until      expected none, got 2026-03-08 08:00 EDT = 2026-03-08T12:00:00Z" in lines
    assert "    because    expected nothing, got quiet_hours" in lines
    assert any(line.startswith("    forbids    quiet_hours: house: ") for line in lines)
    assert not any("  ground  " in line and "expected" in line for line in lines)
    # The folder and the file in it are one; hidden folders are left alone.
    assert lines[-1].startswith("1 failed, 2 passed in 2 files, ")


def test_a_file_that_is_wrong_ends_with_2_and_nothing_runs(files: Path) -> None:
    (files / "wrong.scenarios.toml").write_text(GOOD.replace("last_inbound", "last_inbond"))
    done = duly(".", "--json", "--junit", "report.xml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "error: wrong.scenarios.toml:8: `scenario.contact.last_inbond`: is not known here; known are "
    )
    assert done.stderr.count("\n") == 1
    assert not (files / "report.xml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.scenarios.toml"], "none.scenarios.toml: there is no such file"),
        (["empty"], "empty: holds no scenario files: their names end in .scenarios.toml"),
        (["good.scenarios.toml", "-k", "and"], "-k: `and`: a word is missing before `and`"),
        (["good.scenarios.toml", "-k", "utility"], "-k: `utility` chooses none of 1 scenarios"),
        (["good.scenarios.toml", "--coverage-of", "US,XX"], "--coverage-of: `XX` has no pack"),
        (["good.scenarios.toml", "--junit", "deep"], "--junit: `deep` is a folder; name a file in it"),
        (
            ["good.scenarios.toml", "--junit", "good.scenarios.toml/report.xml"],
            "--junit: `good.scenarios.toml/report.xml` cannot be written: ",
        ),
        (["good.scenarios.toml", "--junit", "/proc/none/report.xml"], "--junit: `/proc/none/report.xml` cannot be"),
        (["good.scenarios.toml", "--fail-under", "101"], "equal to"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_used_ends_with_2(files: Path, arguments: list[str], words: str) -> None:
    (files / "empty").mkdir()
    done = duly(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_report_that_cannot_be_written_at_the_end_takes_no_result_with_it(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("policies.scenarios.junit.write_junit", full)
    done = duly(".", "--junit", "report.xml")
    assert done.exit_code == 2
    assert done.stdout.startswith("FAIL deep/bad.scenarios.toml:2")
    assert "--junit: `report.xml` cannot be written: No space left" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["policy", "test", "deep"], 1),
        (["policy", "test", "deep", "--json"], 1),
        (["policy", "test", "good.scenarios.toml"], 0),
        (["policy", "test", "good.scenarios.toml", "-v", "--coverage"], 0),
        (["policy", "lint", "odd.policy.toml"], 1),
        (["policy", "lint", "broken.policy.toml"], 2),
        (["policy", "lint", "default"], 0),
        (["policy", "diff", "default", "platform-only", "--budget", "0"], 1),
        (["policy", "diff", "default", "default"], 0),
        (["policy", "explain", "--opted-out"], 0),
        (["policy", "explain", "--policy", "none"], 2),
    ],
)
@pytest.mark.parametrize("closed", ["stdout", "both"])
def test_a_reader_that_has_enough_changes_no_exit_code(
    files: Path, arguments: list[str], code: int, closed: str
) -> None:
    (files / "odd.policy.toml").write_text('[policy]\nname = "t"\n[messaging_window]\nmargin = "23h50m"\n')
    (files / "broken.policy.toml").write_text("[policy]\n")
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads: the first write fails
    try:
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.cli.main", *arguments], cwd=files, stdout=writer,
            stderr=writer if closed == "both" else subprocess.PIPE, text=True, check=False, timeout=patience(60),
        )  # fmt: skip
    finally:
        os.close(writer)
    assert done.returncode == code
    if closed == "stdout":
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_output_that_cannot_be_written_is_an_error_of_one_line(files: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.cli.main", "policy", "test", "good.scenarios.toml"], cwd=files,
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=patience(60),
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_the_report_for_programs_has_everything(files: Path) -> None:
    done = duly("--json", "--coverage", ".")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["passed"], told["failed"]) == (2, 1)
    failed, _, passed = told["results"]
    assert (failed["file"], failed["line"], failed["passed"]) == ("deep/bad.scenarios.toml", 2, False)
    (check,) = failed["checks"]
    assert check["differs"] == ["verdict", "until", "because"]
    assert check["expected"] == {"verdict": "send", "until": None, "ground": "standard_window", "because": []}
    assert check["got"]["until"] == "2026-03-08T12:00:00Z"
    assert check["got"]["because"] == ["quiet_hours"]
    assert {finding["rule"] for finding in check["findings"]} >= {"quiet_hours", "messaging_window"}
    assert passed["name"] == "a promotion at 21:30 waits for the morning"
    assert passed["checks"][0]["findings"] == []
    assert len(passed["policy_version"]) == 64
    coverage = told["coverage"]
    house = next(each for each in coverage["clauses"] if each["id"] == "permitted_hours.house")
    assert house["decided"] == 2
    assert coverage["percent"] == pytest.approx(100 * coverage["decided"] / coverage["of"], abs=0.01)


def test_the_junit_report_is_one_that_a_ci_service_reads(files: Path) -> None:
    strange = GOOD.replace("a promotion at", "caf\u00e9 & \U0001f600 at").replace('"defer"', '"send"')
    strange = strange.replace(
        "contact = {", 'message = { topic = "a\\u0001b" }\ncontact = { opted_out = ["a\\u0001b"],'
    )
    (files / "strange.scenarios.toml").write_text(strange)
    done = duly(".", "--junit", "reports/duly.xml")
    assert done.exit_code == 1
    report = JUnitXml.fromfile(str(files / "reports" / "duly.xml"))
    assert [(suite.name, suite.tests, suite.failures) for suite in report] == [
        ("deep/bad.scenarios.toml", 2, 1), ("good.scenarios.toml", 1, 0), ("strange.scenarios.toml", 1, 1),
    ]  # fmt: skip
    (odd,) = list(report)[2]
    assert odd.name.startswith("caf\u00e9 & \U0001f600 at")
    assert "about `a\ufffdb`" in odd.result[0].text  # XML cannot hold the character
    failed, passed = next(iter(report))
    assert (failed.name, failed.classname) == ("a promotion in the <night> goes", "deep/bad.scenarios.toml")
    assert failed._elem.attrib["line"] == "2"
    assert failed.result[0].message == "not as expected: verdict, until, because"
    assert "expected send, got defer" in failed.result[0].text
    assert passed.is_passed


def test_words_choose_which_scenarios_run(files: Path) -> None:
    done = duly(".", "-v", "-k", "promotion and not (night or 21:30)")
    assert done.exit_code == 0
    assert done.stdout.startswith("ok   deep/bad.scenarios.toml:7  a promotion by day goes\n1 passed in 2 files")


def test_a_threshold_of_coverage_fails_like_a_scenario(files: Path) -> None:
    done = duly("good.scenarios.toml", "--fail-under", "100")
    assert done.exit_code == 1
    assert "never decided:" in done.stdout
    assert "  frequency_cap.daily " in done.stdout
    assert "is below the 100 % asked for" in done.stderr
    assert duly("good.scenarios.toml", "--fail-under", "1").exit_code == 0


def test_pack_rows_count_where_one_says(files: Path) -> None:
    def ids(*arguments: str) -> set[str]:
        told = json.loads(duly("good.scenarios.toml", "--json", "--coverage", *arguments).stdout)
        return {each["jurisdiction"] for each in told["coverage"]["clauses"]}

    assert ids() == {None, "US"}
    assert ids("--coverage-of", "US, FR") == {None, "US", "FR"}
    assert len(ids("--coverage-of", "all")) > 20
