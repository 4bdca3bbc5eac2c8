from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DataError
from sqlmodel import Session

from scheduler.store import database, migrate
from scheduler.store.metadata import metadata


def test_migrations_and_tables_agree(database_url: str) -> None:
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata()) == []


def test_a_database_goes_down_to_nothing_and_up_again(database_url: str) -> None:
    assert migrate.current(database_url) == migrate.head()
    assert migrate.downgrade(database_url, "base") is None
    assert set(inspect(database.engine()).get_table_names()) == {"alembic_version"}
    assert migrate.upgrade(database_url) == migrate.head()
    assert set(inspect(database.engine()).get_table_names()) == {"alembic_version", *metadata().tables}


def test_upgrading_an_upgraded_database_changes_nothing(database_url: str) -> None:
    assert migrate.upgrade(database_url) == migrate.upgrade(database_url) == migrate.head()


def test_a_session_commits_what_its_block_did_and_forgets_what_raised(database_url: str) -> None:
    with database.session() as session:
        session.execute(text("INSERT INTO beat (task, ran_at) VALUES ('kept', 1)"))
    with pytest.raises(ZeroDivisionError), database.session() as session:
        session.execute(text("INSERT INTO beat (task, ran_at) VALUES ('lost', 1 / 1)"))
        _ = 1 / 0
    with Session(database.engine()) as session:
        assert [row[0] for row in session.execute(text("SELECT task FROM beat"))] == ["kept"]


@pytest.mark.parametrize(
    "given",
    [
        [], [1], [-1, 2**31, 7], [2**62, 0], [None, 3], [True, False], [1.5, 2.0], [[1, 2], [3, 4]],
        ["a"], ["", "NULL", "null", "a b", "{x}", "a,b"], ['a"b', "c"], ["a\\b"], ['"', '""'], ["ü…\t\n\u2028", "😀"],
        [None, "a"],
    ],
)  # fmt: skip
def test_lists_arrive_as_they_were(database_url: str, given: list[object]) -> None:
    first = next((each for each in given if each is not None), "")
    kind = {int: "bigint", bool: "boolean", float: "float8", list: "bigint"}.get(type(first), "text")
    with database.engine().connect() as connection:
        found = connection.execute(text(f"SELECT CAST(:given AS {kind}[])"), {"given": given}).scalar_one()
    assert found == given


def test_a_list_of_texts_that_cannot_be_stored_is_refused(database_url: str) -> None:
    with database.engine().connect() as connection, pytest.raises(DataError):
        connection.execute(text("SELECT CAST(:given AS text[])"), {"given": ["a\0b"]})


def test_threads_that_begin_at_once_share_one_engine(database_url: str) -> None:
    database.dispose()
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait(timeout=30)
        return id(database.engine())

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
