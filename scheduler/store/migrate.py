"""Moves a database between revisions. The migrations ship in the package, so an installed Duly migrates itself."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import OperationalError

from scheduler.errors import Invalid, Unavailable
from scheduler.store import revision as revisions
from scheduler.store.database import driver_url

#: Any number, the same everywhere: two processes that migrate at once take turns.
_ADVISORY_LOCK = 0x64756C79

#: Connections to this database of web, workers and commands: migrations do not call themselves so.
_OTHERS = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'duly' AND datname = current_database()")


def upgrade(url: str, revision: str = "head") -> str | None:
    """Bring the database at ``url`` up to ``revision`` and return where it is.

    Raises Invalid; Unavailable where it does not answer, or is newer than this version knows.
    """
    return _move(url, revision, up=True)


def downgrade(url: str, revision: str) -> str | None:
    """Bring the database at ``url`` down to ``revision`` (``base`` is empty) and return where it is.

    Raises Invalid, and Unavailable as ``upgrade`` does. ``connected`` tells whether somebody still works with it.
    """
    return _move(url, revision, up=False)


def current(url: str) -> str | None:
    """The revision the database at ``url`` is at; None before the first. Raises Unavailable."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def connected(url: str) -> int:
    """How many connections of web, workers and commands there are to the database at ``url``. Raises Unavailable."""
    with _connected(url) as connection:
        return int(connection.execute(_OTHERS).scalar_one())


def head() -> str:
    """The newest revision this package knows."""
    newest = _script().get_current_head()
    if newest is None:
        raise Invalid("this package ships no migrations", way_out="install Duly again")
    return newest


def draft(url: str, message: str) -> Path:
    """Write the migration from the database at ``url`` to the tables as they are now, for a person to edit."""
    with _connected(url) as connection:
        made = config()
        made.attributes["connection"] = connection
        number = 1 + sum(1 for _ in _script().walk_revisions())
        written = command.revision(made, message=message, autogenerate=True, rev_id=f"{number:04d}")
    script = written[0] if isinstance(written, list) else written
    if script is None:
        raise Invalid("nothing was drafted", way_out="check that the tables differ from the migrations")
    return Path(script.path)


def config() -> Config:
    """Alembic's configuration, made here: there is no ini file to find."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.set_main_option("path_separator", "os")
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return made


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def _move(url: str, revision: str, *, up: bool) -> str | None:
    if revision not in {*revisions.known(), "head", "base"}:
        raise Invalid(f"`{revision}` is not a revision", way_out="`duly db current` shows the known ones")
    with _connected(url) as connection:
        here = MigrationContext.configure(connection).get_current_revision()
        if here is not None and here not in revisions.known() and (newer := revisions.unfit(here)) is not None:
            raise newer
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        connection.commit()
        try:
            made = config()
            made.attributes["connection"] = connection
            (command.upgrade if up else command.downgrade)(made, revision)
            connection.commit()
            return MigrationContext.configure(connection).get_current_revision()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _ADVISORY_LOCK})
            connection.commit()


def _connected(url: str) -> Connection:
    try:
        return create_engine(driver_url(url), poolclass=pool.NullPool, connect_args={"connect_timeout": 10}).connect()
    except OperationalError as error:
        raise Unavailable(
            "the database does not answer", way_out="check DULY_DATABASE_URL, or start everything with `duly up`"
        ) from error
