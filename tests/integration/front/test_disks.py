"""A disk that is full: webhooks are answered 503, and readiness says which disk it is."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
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
from scheduler.store.embedded import Servers

#: A file of the server's own log has 16 MB: those may still be written.
_LARGE = 17 * 1024 * 1024
_FILL = text("""
    INSERT INTO platform_event (kind, dedupe_key, received_at, body)
    SELECT 'x', CAST(n AS text), 0, '{}' FROM generate_series(CAST(:from AS bigint), CAST(:from AS bigint) + 5000) n
""")
_SIZE = text("SELECT pg_relation_size('platform_event')")


@pytest.fixture
def full(servers: Servers, client: TestClient, page: Any) -> Iterator[Callable[[], None]]:
    """``full()``: the events have grown as far as a file of the server may grow, for whoever connects from now on."""
    process = servers.postgres.process
    assert process is not None
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)

    def limit() -> None:
        with database.session() as session:
            # A few rows a page: a table that is large soon.
            session.execute(text("ALTER TABLE platform_event SET (fillfactor = 10)"))
            size, rows = 0, 0
            while size < _LARGE:
                session.execute(_FILL, {"from": rows})
                rows += 5001
                size = int(session.execute(_SIZE).scalar_one())
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
        # What is connected keeps the limits that it was born with.
        database.dispose()

    yield limit
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    database.dispose()


def test_webhooks_that_cannot_be_written_are_answered_503_and_taken_when_there_is_room(
    full: Callable[[], None], servers: Servers, deliver: Any, say: Any, row: Any, opted_out: Any
) -> None:
    assert deliver(say("7")).status_code == 200
    full()
    # Pages that were made and have room left are used up first.
    answers = [deliver(say("8", f"word {number}")) for number in range(40)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in refused} == {503}
    stop = say("7", "STOP")
    assert deliver(stop).status_code == 503
    assert row("SELECT count(*) FROM platform_event WHERE error IS NOT NULL")[0] == 0
    process = servers.postgres.process
    assert process is not None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    database.dispose()
    assert deliver(stop).status_code == 200
    assert opted_out("7")


def test_readiness_says_that_the_disk_of_the_database_is_full(
    client: TestClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_STANDS", 0.0)
    assert client.get("/readyz/webhooks").status_code == 200
    with psycopg.connect(database_url, autocommit=True) as connection:
        # A server that may write no more than so much, as one whose disk has no more left.
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET temp_file_limit = '64kB'").format(name))
        database.dispose()
        for path in ("/readyz/webhooks", "/readyz"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "the disk of the database cannot be written (temporary file size exceeds" in answer.json()["detail"]
        connection.execute(sql.SQL("ALTER DATABASE {} RESET temp_file_limit").format(name))
    database.dispose()
    assert client.get("/readyz/webhooks").status_code == 200


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
