"""``duly policy explain, forecast, lint, diff``, told by options: nothing runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scheduler.cli.main import app

BERLIN = ("--timezone", "Europe/Berlin", "--last-inbound", "2h", "--at", "2026-11-21T18:00Z")
SHOP = """[policy]
name = "our-shop"
extends = "default"

[[permitted_hours]]
id = "house"
applies_to = ["promotional"]
daily = [["09:00", "22:00"]]
"""


@pytest.fixture
def duly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """``duly("lint", "default")``: the result of ``duly policy lint default`` on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["policy", *arguments])
        assert result.exit_code == code, result.output
        if code == 2 and not result.stdout:
            assert result.stderr.count("\n") == 1
            assert result.stderr.startswith("error: ")
        return result

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A policy in a file."""
    path = tmp_path / "our-shop.policy.toml"
    path.write_text(SHOP, encoding="utf-8")
    return path


def test_explain_takes_every_fact(duly: Callable[..., Any]) -> None:
    told = json.loads(
        duly(
            "explain", *BERLIN, "--country", "DE", "--region", "DE-BE", "--utc-offset", "1", "--ad-inbound", "1h30m",
            "--consent", "express,granted=3d,expires=+2d,topic=news", "--consent", "night",
            "--token", "marketing,used=2d,expires=2027-01-01T00:00Z,topic=news", "--token", "one_time",
            "--sent", "3d", "--sent", "5d,category=utility,ground=utility_template", "--opted-out-topic", "sport",
            "--opted-out-at", "9d", "--handover-at", "1d", "--topic", "news", "--not-before", "1h",
            "--expires-at", "+5d",
            "--template-approved", "--confirms-opt-out", "--kill-switch", "--page-stopped", "--campaign-paused",
            "--json",
        ).stdout
    )  # fmt: skip
    at = 1_795_284_000
    assert told["facts"] == {
        "timezones": ["Europe/Berlin"], "utc_offset": 60, "country": "DE", "region": "DE-BE",
        "last_inbound": at - 7200, "ad_inbound": at - 5400, "opted_out_at": at - 9 * 86_400,
        "opted_out_topics": ["sport"], "handover": True, "handover_at": at - 86_400,
        "consents": [["news", "express", at - 3 * 86_400, at + 2 * 86_400], [None, "night", at]],
        "tokens": [["marketing", "news", 1_798_761_600, at - 2 * 86_400], ["one_time", None, None]],
        "sends": [[at - 5 * 86_400, "utility", "utility_template"], [at - 3 * 86_400, "promotional", None]],
        "topic": "news", "not_before": at - 3600, "expires_at": at + 5 * 86_400, "template_approved": True,
        "confirms_opt_out": True, "kill_switch": True, "campaign_paused": True, "page_stopped": True,
    }  # fmt: skip
    assert {"rule", "clause", "binds", "citation", "words", "numbers", "next_at"} <= set(told["findings"][0])
    assert (told["verdict"], told["not_told"]) == ("defer", [])


def test_explain_names_what_was_not_told(duly: Callable[..., Any]) -> None:
    said = duly("explain").stdout
    assert "unknown_zone" in said
    assert "not told: when they last wrote (--last-inbound 2h); where they are (--timezone" in said
    assert "not told" not in duly("explain", *BERLIN).stdout
    told = json.loads(duly("explain", "--timezone", "UTC", "--json").stdout)
    assert told["not_told"] == ["when they last wrote (--last-inbound 2h)"]


def test_explain_gives_the_text_behind_a_finding(duly: Callable[..., Any]) -> None:
    night = ("--country", "KR", "--last-inbound", "1h", "--at", "2026-11-21T13:00Z")
    told = json.loads(duly("explain", *night, "--json").stdout)
    by_clause = {finding["clause"]: finding for finding in told["findings"]}
    assert by_clause["KR.kr-night"]["binds"] == "statute"
    assert "50(3)" in by_clause["KR.kr-night"]["citation"]
    assert by_clause["permitted_hours.house"]["binds"] == "house"
    said = duly("explain", *night).stdout
    assert "<KR.kr-night, statute> [Network Act (정보통신망법) art. 50(3)" in said
    assert "<platform.standard_window> [Messenger Platform" in said
    assert "<permitted_hours.house, house>\n" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "foo"], "token: `foo` is not a kind; use one of marketing, recurring, one_time"),
        (["--consent", "verbal"], "consent: `verbal` is not a kind; use one of express, implied, night"),
        (["--consent", "express,till=3d"], "consent: `till=3d` of `express,till=3d` says nothing; write granted=…"),
        (["--sent", "3h,category=news"], "sent: `news` is not a category"),
        (["--handover-at", "yesterday"], "handover_at: `yesterday` must be an instant"),
        (["--category", "news"], "category: `news` is not a category"),
        (["--timezone", "Mars"], "timezone"),
        (["--policy", "nix"], "policy: nix: there is no such file"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["explain", "forecast"])
def test_what_cannot_be_told_is_one_line(
    duly: Callable[..., Any], command: str, arguments: list[str], said: str
) -> None:
    assert said in duly(command, *arguments, code=2).stderr


@pytest.mark.parametrize("command", ["explain", "forecast", "show"])
def test_an_offset_is_one_that_clocks_have(duly: Callable[..., Any], command: str) -> None:
    for hours in ("-12", "14"):
        duly(command, "--utc-offset", hours)
    for hours, bound in (("-12.5", "greater than or equal to"), ("14.25", "less than or equal to")):
        refused = CliRunner().invoke(app, ["policy", command, "--utc-offset", hours])
        assert refused.exit_code == 2
        assert f"Input should be {bound}" in refused.stderr


def test_a_forecast_is_a_strip_of_eighty_columns(duly: Callable[..., Any]) -> None:
    lines = duly("forecast", *BERLIN, "--sent", "3h").stdout.splitlines()
    assert lines[0].startswith("defer: it may go from 2026-11-22T15:00:00Z")
    assert lines[2:6] == [
        "            00    03    06    09    12    15    18    21    ",
        "Sat 21 Nov                                        cccccccccc",
        "Sun 22 Nov  cccccccccccccccccccccccccccccccc█▒wwwwwwwwwwwwww",
        "Mon 23 Nov  wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
    ]
    assert "  c the person has had enough messages for now" in lines
    assert "  █ it may go" in lines
    assert "local time in Europe/Berlin" in lines
    assert "  Sun 22 Nov 16:00 - 16:55         55m  may go on standard_window" in lines
    assert "  Sun 22 Nov 16:55 - 21:00        4h5m  window_closed" in lines
    assert all(len(line) <= 80 for line in lines[1:])


def test_a_forecast_fits_narrow_and_wide_terminals(duly: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "Sun 22 Nov  qqqqqqqq███████▒qqqqqqqq"[:20] in duly("forecast", *BERLIN).stdout
    monkeypatch.setenv("COLUMNS", "120")
    assert "q" * 32 + "█" * 28 in duly("forecast", *BERLIN).stdout


def test_a_forecast_leaves_out_the_hour_that_the_clocks_leave_out(duly: Callable[..., Any]) -> None:
    said = duly(
        "forecast", "--timezone", "America/New_York", "--last-inbound", "10m", "--at", "2026-03-07T18:10Z"
    ).stdout
    assert "Sun 08 Mar  qqqq  qqqqqqqqqq" in said


def test_a_forecast_in_an_unknown_zone_is_in_utc(duly: Callable[..., Any]) -> None:
    said = duly("forecast", "--country", "US", "--last-inbound", "1h", "--at", "2026-11-21T18:00Z").stdout
    assert "times in UTC: " in said
    assert "time zones are possible" in said


def test_a_forecast_as_json_tiles_its_span(duly: Callable[..., Any]) -> None:
    told = json.loads(duly("forecast", *BERLIN, "--span", "20h", "--guard", "--json").stdout)
    assert {"policy", "policy_version", "at", "verdict", "until", "ground", "because", "reason", "facts"} <= set(told)
    assert (told["span"], told["timezone"]) == (72_000, "Europe/Berlin")
    assert told["stretches"][0]["start"] == told["at"]
    assert told["stretches"][-1]["end"] == "2026-11-22T14:00:00Z"
    assert all(
        one["end"] == other["start"] for one, other in zip(told["stretches"], told["stretches"][1:], strict=False)
    )
    assert told["stretches"][1]["local_end"] == "2026-11-22T08:00:00+01:00"
    assert told["stretches"][1]["reason"] == "quiet_hours"


@pytest.mark.parametrize("span", ["0h", "31d", "+2h", "soon"])
def test_a_forecast_looks_no_further_than_a_decision(duly: Callable[..., Any], span: str) -> None:
    assert "write it like 48h or 7d, at most 30d" in duly("forecast", "--span", span, code=2).stderr


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    def run(**environment: str) -> bytes:
        command = [sys.executable, "-m", "scheduler.cli.main", "policy", "forecast", *BERLIN]
        root = str(Path(__file__).parents[3])
        return subprocess.run(
            command, check=True, capture_output=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root, "COLUMNS": "80", **environment},
        ).stdout  # fmt: skip

    assert b"\x1b[32m" in run(FORCE_COLOR="1", TERM="xterm")
    plain = run(NO_COLOR="1", FORCE_COLOR="1", TERM="xterm")
    assert b"\x1b[32m" not in plain
    assert "█".encode() in plain
    assert b"#" in run(PYTHONIOENCODING="ascii")


def test_lint_of_files_folders_and_built_in_policies(duly: Callable[..., Any], shop: Path) -> None:
    said = duly("lint", "platform-only", "--at", "2026-11-21").stdout
    assert said == "1 policy: nothing to remark, 1 accepted\n"
    said = duly("lint", ".", "default", "--at", "2026-11-21").stdout
    assert said.splitlines()[-1] == "2 policies: 2 notices"
    assert said.startswith("our-shop.policy.toml:3: notice: policy.jurisdictions: law/US: on 2027-01-31")
    assert duly("lint", ".", "--at", "2026-11-21", "--within", "30d").stdout == "1 policy: nothing to remark\n"
    changed = ("lint", ".", "--at", "2027-02-01")
    assert duly(*changed).stdout.splitlines()[-1] == "1 policy: 1 notice"
    assert duly(*changed, "--countries", "US,de", code=1).stdout.splitlines()[-1] == "1 policy: 1 warning"
    assert duly(*changed, "--countries", "DE").stdout == "1 policy: nothing to remark\n"
    assert "--countries: `EN` is not a country or region" in duly(*changed, "--countries", "EN", code=2).stderr
    written = shop.read_text(encoding="utf-8")
    shop.write_text(f"# lint: people in DE\n{written}", encoding="utf-8")
    assert duly(*changed).stdout == "1 policy: nothing to remark\n"
    accepted = "# lint: people in US\n# lint: allow took_effect because we stop at once\n"
    shop.write_text(accepted + written, encoding="utf-8")
    assert duly(*changed).stdout == "1 policy: nothing to remark, 1 accepted\n"


def test_lint_of_a_folder_leaves_out_what_is_hidden_in_it(duly: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    hidden = tmp_path / ".venv" / "lib"
    hidden.mkdir(parents=True)
    (hidden / "broken.policy.toml").write_text("[[[", encoding="utf-8")
    assert duly("lint", ".", "--at", "2026-11-21", "--within", "1d").stdout == "1 policy: nothing to remark\n"
    assert "holds no *.policy.toml" not in duly("lint", str(hidden), code=2).stdout


def test_lint_as_json(duly: Callable[..., Any], shop: Path) -> None:
    shop.write_text(SHOP.replace('"09:00", "22:00"', '"06:00", "08:00"'), encoding="utf-8")
    asked = ("lint", str(shop), "--at", "2026-11-21", "--within", "1d", "--json")
    assert json.loads(duly(*asked).stdout)["counts"] == {"error": 0, "warning": 0, "notice": 3, "accepted": 0}
    told = json.loads(duly(*asked, "--countries", "IN", code=1).stdout)
    assert told["files"] == [str(shop)]
    assert (told["counts"]["error"], told["counts"]["notice"]) == (1, 0)
    first = told["remarks"][0]
    assert {"where", "line", "key", "level", "kind", "message", "accepted"} == set(first)
    assert (first["line"], first["key"], first["kind"]) == (5, "permitted_hours.house", "contradictory_hours")


def test_lint_of_what_is_no_policy_ends_with_2(duly: Callable[..., Any], shop: Path, tmp_path: Path) -> None:
    shop.write_text(SHOP + '[unknown_zone]\nmode = "fallback"\nzone = "Europe/Berlni"\n', encoding="utf-8")
    assert "did you mean Europe/Berlin?" in duly("lint", str(shop), code=2).stdout
    assert "nix: there is no such file" in duly("lint", "nix", code=2).stderr
    (tmp_path / "empty").mkdir()
    assert "holds no *.policy.toml" in duly("lint", "empty", code=2).stderr
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert "cannot be read" in duly("lint", "bytes", code=2).stderr
    assert "at: `soon` is not a day; write it like 2026-11-21" in duly("lint", "default", "--at", "soon", code=2).stderr


def test_diff_says_stricter_and_looser_with_somebody_for_each(duly: Callable[..., Any], shop: Path) -> None:
    said = duly("diff", "default", str(shop), "--at", "2026-11-21T00:00Z", code=1).stdout
    assert f"{shop} against default: stricter and looser" in said
    assert "permitted_hours.house: stricter and looser" in said
    assert "  - 08:00-21:00 (promotional)\n  + 09:00-22:00 (promotional)\n" in said
    assert "    old  send on standard_window\n    new  defer until 2026-11-21T09:00:00Z, quiet_hours (house:" in said
    assert "A search proves what it finds, not that there is nothing else." in said


def test_what_a_diff_shows_can_be_asked_again(duly: Callable[..., Any], shop: Path) -> None:
    told = json.loads(duly("diff", str(shop), "platform-only", "--at", "2026-11-21T00:00Z", "--json", code=1).stdout)
    assert (told["same"], told["direction"]) == (False, "both")
    asked = 0
    for change in (*told["changes"], told["overall"]):
        for example in (change["stricter"], change["looser"], change["other_reason"]):
            if example is not None:
                _, _, *arguments = shlex.split(example["ask"])
                again = json.loads(duly(*arguments, "--json").stdout)
                assert {key: again[key] for key in example["old"]} == example["old"]
                assert again["facts"] == example["facts"]
                asked += 1
    assert asked >= 7


def test_diff_of_the_same_and_of_one_clause(duly: Callable[..., Any], shop: Path) -> None:
    assert duly("diff", "default", "default").stdout == "default says the same as default\n"
    assert json.loads(duly("diff", "default", "default", "--json").stdout)["direction"] == "same"
    one = duly(
        "diff", "default", str(shop), "--clause", "permitted_hours.house", "--seed", "3", "--budget", "9", code=1
    )
    assert one.stdout.startswith(f"in permitted_hours.house, {shop} against default: stricter and looser")
    far = '\n[[frequency_cap]]\nid = "far"\nlimit = 5000\nper = "30d"\n'
    shop.write_text('[policy]\nname = "x"\nextends = "default"\n' + far, encoding="utf-8")
    # A clause that differs is a difference, though the search knows nobody who meets it.
    none = duly("diff", "default", str(shop), "--budget", "5", code=1).stdout
    assert none.startswith(f"{shop} against default: it differs, but nobody was found for whom it matters\n")
    assert "frequency_cap.far: it differs, but nobody was found for whom it matters, in " in none
    assert "  - not there\n  + 5000 per 30d (all categories)\n" in none


def test_diff_of_what_is_no_policy_ends_with_2(duly: Callable[..., Any], shop: Path) -> None:
    assert "NEW: nix: there is no such file" in duly("diff", "default", "nix", code=2).stderr
    said = duly("diff", "default", str(shop), "--clause", "x", code=2).stderr
    assert said == "error: clause: the policies do not differ in `x`; they do in permitted_hours.house\n"
    shop.write_text(SHOP + "[nix]\n", encoding="utf-8")
    assert "our-shop.policy.toml:9: `nix`: is not known here" in duly("diff", str(shop), "default", code=2).stderr
