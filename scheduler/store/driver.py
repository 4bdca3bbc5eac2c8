"""The driver's own cursors under a session's transaction.

For what is read and written for every message: there SQLAlchemy costs more than the statement itself. Statements are
prepared by the driver, rows come as plain tuples in the binary protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

Row = tuple[Any, ...]
Driver = psycopg.Connection[Row]


def rows(session: Session, statement: LiteralString, values: Mapping[str, Any]) -> list[Row]:
    """What ``statement`` finds, in the session's transaction. Its errors are SQLAlchemy's, as those of the session."""
    with driver_of(session) as driver, driver.cursor(binary=True) as cursor:
        return cursor.execute(statement, values).fetchall()


@contextmanager
def driver_of(session: Session) -> Iterator[Driver]:
    """The connection behind the session, inside its transaction; what it raises is raised as SQLAlchemy would."""
    session.flush()
    driver: Driver = session.connection().connection.driver_connection  # type: ignore[assignment]  # the engine's driver is psycopg
    try:
        yield driver
    except psycopg.Error as error:
        # Who catches what passes by itself (a deadlock's victim, a server that restarts) catches it under one name.
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error
