"""A database that this version cannot work with: one sentence, everywhere, and nothing else happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.store import database, migrate, revision
from tests.patience import patience
from tests.web import web

#: Commands that need no database, or whose work it is to mend one.
_WITHOUT = {
    "demo", "up", "sandbox", "config show", "config new-key", "config example", "db upgrade", "db current", "db draft",
    "db downgrade", "db dump", "db load",
    "policy test", "policy lint", "policy diff", "policy explain", "policy forecast", "policy show",
}  # fmt: skip
#: What a command wants to be told before it looks at the database, where its parameters do not show it.
_MORE = {
    "campaign cancel": ["--yes"],
    "contacts import": ["FILE", "--page", "1"],
    "contacts export": ["--page", "1"],
    "contact merge": ["--into", "2"],
    "page marketing": ["--off"],
    "privacy erase": ["--yes"],
    "dead-letter redrive": ["1", "--yes"],
    "dead-letter discard": ["1", "--yes"],
    "campaign launch": ["--yes"],
    "ops stop": ["--yes"],
    "page mode": ["live"],
    "restore release": ["--yes"],
    "page rate": ["20"],
    "page check": ["1"],
}
#: Required parameters that ``_MORE`` gives, that are files, and that want a word of their own.
_TOLD = ("to",)
_FILES = ("file", "path")
_VALUES = {"instant": "2026-01-01T00:00Z", "was": "nothing", "policy": "default"}
_SECRETS = {"PAGE_TOKEN": "EAAtoken", "APP_SECRET": "5ea1" * 8, "VERIFY_TOKEN": "verify-me"}


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        yield from _leaves(command.get_command(None, name), (*path, name))


_COMMANDS = {name: leaf for name, leaf in _leaves(typer.main.get_command(app)) if name not in _WITHOUT}


def _words(name: str, leaf: Any, file: Path) -> list[str]:
    """The command with something for everything that it must be told."""
    words = name.split()
    for parameter in leaf.params:
        if parameter.required and parameter.name not in _TOLD:
            value = str(file) if parameter.name in _FILES else _VALUES.get(parameter.name, "1")
            words += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return words + [str(file) if word == "FILE" else word for word in _MORE.get(name, [])]


def _otherwise(sentence: str, file: Path) -> dict[str, tuple[int, str]]:
    """The commands that end in another way than with 6 and ``sentence``, in one line."""
    wrong = {}
    for name, leaf in _COMMANDS.items():
        result = CliRunner().invoke(app, _words(name, leaf, file), env=_SECRETS)
        if result.exit_code != 6 or not result.stderr.startswith(sentence) or result.stderr.count("\n") != 1:
            wrong[name] = (result.exit_code, result.stderr[-300:])
    return wrong


def _put_at(url: str, number: str | None) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [number])


@pytest.fixture(params=["unmigrated", "older", "newer"])
def unfit(
    request: pytest.FixtureRequest, servers: Any, database_url: str, set_environment: Callable[..., None]
) -> Iterator[str]:
    """What is said of a database that was never migrated, one of an older version, one of a newer."""
    if request.param == "unmigrated":
        set_environment(DULY_DATABASE_URL=servers.postgres.url_of("postgres"))
        sentence = f"the database is at revision none, this version needs {migrate.head()}"
    elif request.param == "older":
        _put_at(database_url, "0003")
        sentence = f"the database is at revision 0003, this version needs {migrate.head()}"
    else:
        _put_at(database_url, "9999")
        sentence = f"the database is at revision 9999, which is newer than this version knows ({migrate.head()})"
    yield sentence
    database.dispose()


def test_the_revisions_are_those_of_the_migrations() -> None:
    # They are read off the names of the files, because to load those takes long.
    assert revision.needed() == migrate.head()
    assert set(revision.known()) == {script.revision for script in migrate._script().walk_revisions()}


def test_every_command_says_so_in_one_sentence_and_ends_with_6(unfit: str, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("psid\n1\n")
    assert _otherwise(f"error: {unfit}; ", file) == {}


def test_every_command_says_in_one_sentence_that_the_database_does_not_answer(
    set_environment: Callable[..., None], tmp_path: Path
) -> None:
    set_environment(DULY_DATABASE_URL=f"postgresql://postgres@/duly?host={tmp_path}")
    file = tmp_path / "file.csv"
    file.write_text("psid\n1\n")
    assert _otherwise("error: the database does not answer; ", file) == {}
    database.dispose()


def test_the_api_and_the_webhook_answer_503_and_readyz_says_it(unfit: str, redis_url: str) -> None:
    with web() as client:
        assert client.get("/healthz").status_code == 200
        key = {"Authorization": "Bearer duly_x"}
        signed = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
        answers = [
            client.get("/readyz"),
            client.get("/api/v1/campaigns", headers=key),
            client.post("/api/v1/pages", headers=key, json={}),
            client.post("/webhooks/messenger", content=b"{}", headers=signed),
            client.get("/webhooks/messenger", params={"hub.mode": "subscribe", "hub.challenge": "1"}),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.json()["code"], answer.json()["detail"]) == ("unavailable", unfit)
        assert "duly_database_up 0.0" in client.get("/metrics").text


def test_what_was_migrated_away_beneath_an_open_connection_is_said_too(database_url: str) -> None:
    with database.session() as session:
        session.connection().exec_driver_sql("SELECT 1 FROM page")
    migrate.downgrade(database_url, "base")
    with pytest.raises(Exception, match="the database is at revision none"), database.session() as session:
        session.connection().exec_driver_sql("SELECT 1 FROM page")
    migrate.upgrade(database_url)
    with database.session() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM page").scalar_one() == 0


def test_a_database_that_is_put_right_is_worked_with_without_a_restart(database_url: str) -> None:
    _put_at(database_url, "0003")
    with pytest.raises(Exception, match="0003"), database.session() as session:
        session.connection()
    _put_at(database_url, migrate.head())
    with database.session() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM page").scalar_one() == 0


def test_a_newer_database_is_neither_upgraded_nor_downgraded(database_url: str) -> None:
    _put_at(database_url, "9999")
    for words in (["upgrade"], ["downgrade", "0003", "--yes"]):
        result = CliRunner().invoke(app, ["db", *words])
        assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
        assert "newer than this version knows" in result.stderr


def test_a_downgrade_is_refused_while_duly_works_with_the_database(database_url: str) -> None:
    with database.session() as session:
        session.connection()
        result = CliRunner().invoke(app, ["db", "downgrade", "base", "--yes"])
    assert result.exit_code == 5
    assert "1 connection of it" in result.stderr
    assert migrate.current(database_url) == migrate.head()
    database.dispose()
    assert CliRunner().invoke(app, ["db", "downgrade", "base", "--yes"]).exit_code == 0


def test_a_worker_says_it_once_and_begins_when_it_is_migrated(
    database_url: str, redis_url: str, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    _put_at(database_url, "0003")
    log = tmp_path / "worker.log"
    argv = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--concurrency", "1", "--loglevel", "info"]
    with log.open("wb") as out:
        worker = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=os.environ)
    try:
        eventually(lambda: b"waiting_for_the_database" in log.read_bytes(), seconds=60, what="the sentence")
        _put_at(database_url, migrate.head())
        eventually(lambda: b" ready." in log.read_bytes(), seconds=60, what="the start")
        assert log.read_bytes().count(b"this version needs") == 1
        assert b"Traceback" not in log.read_bytes()
    finally:
        worker.terminate()
        worker.wait(timeout=patience(60))


def test_a_worker_that_is_told_no_database_ends(redis_url: str, set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATABASE_URL=None)
    argv = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--concurrency", "1"]
    ended = subprocess.run(argv, env=os.environ, capture_output=True, text=True, timeout=patience(60), check=False)
    assert ended.returncode == 6
    assert "Traceback" not in ended.stdout + ended.stderr
