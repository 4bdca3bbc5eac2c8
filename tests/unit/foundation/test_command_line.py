from __future__ import annotations

import base64
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from scheduler.cli import loading, main
from scheduler.cli.loading import LoadingGroup
from scheduler.errors import EXIT_CODES, AlreadyRunning, DulyError, Invalid, NotFound, Unavailable
from scheduler.settings import Settings

run = CliRunner()


@pytest.mark.parametrize("error", [DulyError, Invalid, NotFound, AlreadyRunning, Unavailable])
def test_an_error_is_one_line_on_standard_error_and_its_exit_code(error: type[DulyError]) -> None:
    app = typer.Typer(cls=type(typer.main.get_command(main.app)))

    @app.callback()
    def _group() -> None: ...

    @app.command()
    def fail() -> None:
        raise error("`7` is wrong", field="page", way_out="try `8`")

    result = run.invoke(app, ["fail"])
    assert result.exit_code == error.exit_code
    assert result.stdout == ""
    assert result.stderr == "error: page: `7` is wrong; try `8`\n"


def test_an_interrupt_ends_with_130() -> None:
    app = typer.Typer(cls=type(typer.main.get_command(main.app)))

    @app.callback()
    def _group() -> None: ...

    @app.command()
    def wait() -> None:
        raise KeyboardInterrupt

    assert run.invoke(app, ["wait"]).exit_code == 130


def test_help_lists_every_command_and_exit_code() -> None:
    result = run.invoke(main.app, ["--help"], terminal_width=120)
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("up", "sandbox", "db", "config"))
    assert all(f"{code}  " in result.stdout for code in EXIT_CODES)


def test_config_show_gives_every_setting_as_json_with_its_source(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATABASE_URL="postgresql://duly:hunter2@db/duly", DULY_SEND_GUARD="3.5")
    result = run.invoke(main.app, ["config", "show", "--json"])
    shown = {row["name"]: row for row in json.loads(result.stdout)}
    assert len(shown) == len(Settings.model_fields)
    assert shown["DULY_SEND_GUARD"] == {"name": "DULY_SEND_GUARD", "value": "3.5", "source": "environment"}
    assert "hunter2" not in result.stdout


def test_a_key_is_made_where_there_is_none_yet(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_ENV="production")
    made = run.invoke(main.app, ["config", "new-key"])
    assert made.exit_code == 0, made.output
    assert len(base64.urlsafe_b64decode(made.stdout.strip())) == 32
    assert run.invoke(main.app, ["config", "example"]).exit_code == 0
    refused = run.invoke(main.app, ["config", "show"])
    assert (refused.exit_code, "DULY_ENCRYPTION_KEY must be set" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        (["campaigns"], "did you mean campaign?"),
        (["mesage", "list"], "did you mean message"),
        (["policy", "explian"], "did you mean explain"),
        (["xyzzy"], "`duly --help` lists the commands"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(typed: list[str], nearest: str) -> None:
    result = run.invoke(main.app, typed, prog_name="duly")
    assert (result.exit_code, nearest in result.stderr) == (2, True), result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_setting_stops_every_command_by_name(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATABSE_URL="x")
    result = run.invoke(main.app, ["config", "show"])
    assert result.exit_code == 2
    assert "did you mean DULY_DATABASE_URL?" in result.stderr


def test_without_a_database_it_says_how_to_get_one() -> None:
    result = run.invoke(main.app, ["db", "current"])
    assert result.exit_code == 6
    assert "duly up" in result.stderr


def test_the_database_is_moved_up_and_down(database_url: str) -> None:
    assert database_url
    assert run.invoke(main.app, ["db", "downgrade", "base"], input="n\n").exit_code != 0
    assert json.loads(run.invoke(main.app, ["db", "current", "--json"]).stdout)["up_to_date"]
    assert run.invoke(main.app, ["db", "downgrade", "base", "--yes"]).stdout == "base\n"
    assert "duly db upgrade" in run.invoke(main.app, ["db", "current"]).stdout
    assert run.invoke(main.app, ["db", "upgrade"]).exit_code == 0
    unknown = run.invoke(main.app, ["db", "upgrade", "9999"])
    assert unknown.exit_code == 2
    assert "`9999` is not a revision" in unknown.stderr


def test_the_sandbox_gets_its_options_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def become(_path: str, argv: list[str]) -> None:
        started.append(argv)

    monkeypatch.setattr(os, "execv", become)
    assert run.invoke(main.app, ["sandbox", "--port", "0", "--help"]).exit_code == 0
    assert started[0][1:] == ["-m", "workers.sandbox", "--port", "0", "--help"]


def test_what_the_help_lists_is_what_every_command_says_of_itself() -> None:
    for place in ("scheduler.cli.main", "scheduler.cli.policy"):
        group = typer.main.get_group(importlib.import_module(place).app)
        assert isinstance(group, LoadingGroup)
        context = typer.Context(group)
        for name in group.modules:
            if name not in group.list_commands(context):
                continue
            loaded = group.get_command(context, name)
            said = loading._said(group._path(name))
            assert said is not None, name
            assert inspect.cleandoc(said) == inspect.cleandoc(loaded.help), name


def test_the_help_starts_no_client_of_a_database() -> None:
    asked = """
import sys
from scheduler.cli.main import app
app(["--help"], standalone_mode=False)
print([name for name in ("sqlalchemy", "redis", "celery", "fastapi") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
