"""A disk that is full: webhooks are answered 503, and readiness says which disk it is."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from starlette.testclient import TestClient

from scheduler.api import writing
from scheduler.settings import get_settings
from scheduler.store import database, disk

_NO_ROOM = """
    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device';
    END $$;
    CREATE TRIGGER no_room BEFORE INSERT ON platform_event FOR EACH STATEMENT EXECUTE FUNCTION no_room();
"""


def test_webhooks_that_cannot_be_written_are_answered_503_and_taken_when_there_is_room(
    page: Any, deliver: Any, say: Any, row: Any, opted_out: Any
) -> None:
    assert deliver(say("7")).status_code == 200
    with database.session() as session:
        session.connection().exec_driver_sql(_NO_ROOM)
    stop = say("7", "STOP")
    answer = deliver(stop)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert row("SELECT count(*) FROM platform_event WHERE error IS NOT NULL")[0] == 0
    with database.session() as session:
        session.connection().exec_driver_sql("DROP FUNCTION no_room() CASCADE")
    assert deliver(stop).json() == {"received": 1, "known": 0, "failed": 0}
    assert opted_out("7")


@pytest.fixture
def little_room(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that may write no more than so much, as one whose disk has no more left."""
    monkeypatch.setattr(writing, "_STANDS", 0.0)
    with psycopg.connect(database_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET temp_file_limit = '64kB'").format(name))


def test_readiness_says_that_the_disk_of_the_database_is_full(
    little_room: None, redis_url: str, client: TestClient
) -> None:
    for path in ("/readyz/webhooks", "/readyz"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "the disk of the database cannot be written (temporary file size exceeds" in answer.json()["detail"]


def test_readiness_says_that_the_disk_of_the_marks_is_full(
    client: TestClient, tmp_path: Path, set_environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_STANDS", 0.0)
    set_environment(DULY_DATA_DIR=str(tmp_path))
    assert client.get("/readyz/webhooks").status_code == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        answer = client.get("/readyz/webhooks")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status_code == 503
    assert f"the disk of DULY_DATA_DIR ({tmp_path}) cannot be written ({os.strerror(errno.EFBIG)})" in answer.text
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_the_disks_leaves_nothing_and_is_taken_every_few_seconds(
    client: TestClient, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    looking = disk.database_cannot_write
    monkeypatch.setattr(writing, "database_cannot_write", lambda session: looked.append(1) or looking(session))
    for _ in range(5):
        assert client.get("/readyz/webhooks").status_code == 200
    assert len(looked) == 1
    with database.session() as session:
        before = session.execute(text("SHOW work_mem")).scalar_one()
        assert disk.database_cannot_write(session) is None
        assert session.execute(text("SHOW work_mem")).scalar_one() == before
        # It was made to write: nothing else was.
        assert session.execute(text("SELECT pg_current_xact_id_if_assigned() IS NULL")).scalar_one() is True
    assert disk.folder_cannot_write(get_settings().data_dir / "not there") is None
