"""``duly policy activate``, ``history`` and ``show`` as a person uses them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from policies.policy import load_policy
from scheduler.cli.main import app
from scheduler.governance.history import activation_in_force
from scheduler.store import database
from tests.integration.front.conftest import PAGE, Registered
from tests.patience import patience

DEFAULT, BARE = load_policy("default").version, load_policy("platform-only").version


@pytest.fixture
def duly(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``duly("policy", "show")``: the command's result; nobody sits at its terminal."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return run


def _in_force(page: Registered) -> Any:
    with database.session() as session:
        return activation_in_force(session, page.id)


def test_an_activation_shows_what_changes_and_keeps_who_and_why(
    duly: Callable[..., Any], page: Registered, tmp_path: Path, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_LOOK_AHEAD="600")
    base, file = tmp_path / "base.policy.toml", tmp_path / "ours.policy.toml"
    base.write_text('[policy]\nname = "base"\nextends = "default"\n[[minimum_gap]]\nid = "breath"\nbetween = "6h"\n')
    file.write_text('[policy]\nname = "ours"\nextends = "base.policy.toml"\n[messaging_window]\nmargin = "10m"\n')
    arguments = ("policy", "activate", PAGE, str(file), "--why", "quieter evenings")
    looked = duly(*arguments, "--dry-run").output
    assert "nothing was changed" in looked
    assert _in_force(page).version == DEFAULT
    done = duly(*arguments, "--as", "ada", "--yes").output
    for said in (
        f"page {PAGE}: ours, version", f"instead of default, version {DEFAULT[:12]}",
        "by ada, because: quieter evenings",
        "messaging_window.margin", "5m", "10m", "minimum_gap.breath", "together: stricter", "0 waiting messages",
        "ours decides for",
    ):  # fmt: skip
        assert said in done
    found = _in_force(page)
    assert (found.name, found.actor, found.why) == ("ours", "ada", "quieter evenings")
    shown = duly("policy", "history", PAGE).output
    assert "quieter evenings" in shown
    assert "messaging_window.margin, minimum_gap.breath" in shown
    [newest, first] = json.loads(duly("policy", "history", PAGE, "--json").output)
    assert (newest["activated_by"], newest["previous"], first["changes"]) == ("ada", DEFAULT, None)
    again = duly(*arguments, "--yes", code=5)
    assert "in force already" in again.output


def test_a_look_ahead_that_was_cut_short_says_so(
    duly: Callable[..., Any], page: Registered, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_LOOK_AHEAD="0")
    arguments = ("policy", "activate", PAGE, "platform-only", "--why", "trying", "--dry-run")
    shown = duly(*arguments).output
    assert "not known" in shown
    assert "what the changes do is not fully known: the search was stopped after 0 seconds" in shown
    assert "together" not in shown
    seen = json.loads(duly(*arguments, "--json").stdout)
    assert (seen["effect"], seen["search"]) == (None, "cut_short")
    assert {each["search"] for each in seen["changes"]} == {"not_searched", "cut_short"}
    assert "stopped after 0 seconds" in seen["search_note"]


def test_as_json_it_is_one_document(
    duly: Callable[..., Any], page: Registered, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_LOOK_AHEAD="600")
    arguments = ("policy", "activate", PAGE, "platform-only", "--why", "trying", "--json")
    looked = json.loads(duly(*arguments, "--dry-run").stdout)
    assert (looked["activated"], looked["version"], looked["previous"]) == (False, BARE, DEFAULT)
    assert json.loads(duly(*arguments, "--yes").stdout) == {**looked, "activated": True}
    assert _in_force(page).actor == "cli"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((PAGE, "platform-only", "--why", "w"), 2, "yes: nobody can be asked here; add --yes"),
        ((PAGE, "platform-only", "--why", " ", "--yes"), 2, "why: a reason is needed"),
        ((PAGE, "platform-only", "--yes"), 2, "--why"),
        ((PAGE, "platform-only", "--why", "w", "--as", "", "--yes"), 2, "actor: who activates it must be named"),
        ((PAGE, "nosuch.toml", "--why", "w", "--yes"), 2, "no such file"),
        (("nobody", "platform-only", "--why", "w", "--yes"), 4, "page `nobody` is not registered"),
        ((PAGE, "default", "--why", "w", "--yes"), 5, "in force already"),
    ],
)
def test_what_cannot_be_is_refused(
    duly: Callable[..., Any], page: Registered, arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert said in duly("policy", "activate", *arguments, code=code).output
    assert _in_force(page).version == DEFAULT


@pytest.mark.parametrize(("typed", "code", "version"), [("n\n", 1, DEFAULT), ("y\n", 0, BARE)])
def test_at_a_terminal_it_asks(page: Registered, typed: str, code: int, version: str) -> None:
    ours, theirs = pty.openpty()
    command = "from scheduler.cli.main import app; app(['policy', 'activate', '%s', 'platform-only', '--why', 'w'])"
    try:
        os.write(ours, typed.encode())
        ran = subprocess.run(
            [sys.executable, "-c", command % PAGE],
            stdin=theirs, capture_output=True, text=True, timeout=patience(60), check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert ran.returncode == code, ran.stderr
    assert "activate it?" in ran.stderr
    assert _in_force(page).version == version


def test_show_is_the_policy_as_it_meets_somebody(duly: Callable[..., Any], page: Registered, api: Any) -> None:
    api("PUT", f"/pages/{PAGE}/contacts/7", {"country": "KR", "timezone": "Asia/Seoul"})
    shown = duly("policy", "show", "--contact", f"{PAGE}/7").output
    for said in (
        f"policy default, version {DEFAULT[:12]}", "zones: Asia/Seoul (told by timezone)",
        "KR: ", "permitted_hours.house",
        "KR.kr-night", "statute", "confidence", "platform.standard_window", "does not serve here at this instant",
        "platform.marketing_token", "known, and not binding under this policy:", "KR.consent",
    ):  # fmt: skip
        assert said in shown, said
    told = json.loads(duly("policy", "show", "--country", "KR", "--timezone", "Asia/Seoul", "--json").output)
    stored = json.loads(duly("policy", "show", "--contact", f"{PAGE}/7", "--json").output)
    assert {**told, "at": ""} == {**stored, "at": ""}


def test_show_of_a_page_tells_who_activated_it(duly: Callable[..., Any], page: Registered) -> None:
    duly("policy", "activate", PAGE, "platform-only", "--why", "bare bones", "--as", "ada", "--yes")
    shown = duly("policy", "show", "--page", PAGE, "--country", "AQ", "--at", "2026-03-28T08:00Z").output
    for said in (
        "platform-only",
        "by ada: bare bones",
        "at 2026-03-28T08:00:00Z",
        "AQ: no pack",
        "zones, judged in all",
    ):
        assert said in shown, said
    other = duly("policy", "show", "--page", PAGE, "--policy", "default").output
    assert "policy default" in other
    assert "by ada" not in other
    assert "no jurisdiction is known" in other
    refused = duly("policy", "show", "--page", PAGE, "--contact", f"{PAGE}/7", "--policy", "default", code=4)
    assert "contact" in refused.output
    assert "is not registered" in duly("policy", "show", "--page", "nobody", code=4).output
