"""Stored versions named on the command line."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from policies.policy import load_policy
from scheduler.cli.main import app
from tests.integration.front.conftest import Registered

VERSION = load_policy("default").version


def test_a_version_that_was_active_can_be_compared_and_asked(page: Registered) -> None:
    assert page
    run = CliRunner()
    told = json.loads(run.invoke(app, ["policy", "diff", VERSION[:8], "platform-only", "--json"]).stdout)
    assert (told["old"]["name"], told["old"]["version"], told["direction"]) == ("default", VERSION, "both")
    assert f"--policy {VERSION[:8]}" in told["changes"][0]["looser"]["ask"]
    asked = json.loads(run.invoke(app, ["policy", "explain", "--policy", VERSION, "--json"]).stdout)
    assert asked["policy_version"] == VERSION
    unknown = run.invoke(app, ["policy", "diff", "default", "0" * 8])
    assert unknown.exit_code == 4
    assert "no policy of version `00000000` was ever active" in unknown.stderr
