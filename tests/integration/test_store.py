from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
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
