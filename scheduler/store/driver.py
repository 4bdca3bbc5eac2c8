"""The driver's own cursors under a session's transaction.

For what is read and written for every message: there SQLAlchemy costs more than the statement itself. Statements are
prepared by the driver, rows come as plain tuples in the binary protocol. ``direct`` is the same for statements that
are SQLAlchemy's, with named values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

Row = tuple[Any, ...]
Driver = psycopg.Connection[Row]

DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not typed


def rows(session: Session, statement: LiteralString, values: Mapping[str, Any]) -> list[Row]:
    """What ``statement`` finds, in the session's transaction. Its errors are SQLAlchemy's, as those of the session."""
    with driver_of(session) as driver, driver.cursor(binary=True) as cursor:
        return cursor.execute(statement, values).fetchall()


@contextmanager
def driver_of(session: Session) -> Iterator[Driver]:
    """The connection behind the session, inside its transaction; what it raises is raised as SQLAlchemy would."""
    session.flush()
    with errors_of_sqlalchemy():
        yield driver_under(session.connection())


def driver_under(connection: Connection) -> Driver:
    """The driver's connection under SQLAlchemy's. The engine's driver is psycopg."""
    return cast("Driver", connection.connection.driver_connection)


@contextmanager
def errors_of_sqlalchemy(statement: str | None = None) -> Iterator[None]:
    """Raise what the driver raises inside as SQLAlchemy would, without values.

    Who catches what passes by itself (a deadlock's victim, a server that restarts) catches it under one name.
    """
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, dialect=DIALECT
        ) from error
