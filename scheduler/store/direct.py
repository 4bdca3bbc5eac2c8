"""Statements that run a thousand times a minute, handed to the driver itself, in the session's own transaction.

SQLAlchemy takes four times as long over a small statement as the driver does, and the driver takes a microsecond over
each element of a list. Errors are SQLAlchemy's, as from everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import psycopg
from psycopg import Connection, Cursor
from psycopg.rows import namedtuple_row
from sqlalchemy import Dialect, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

#: As PostgreSQL writes them in an array, Python writes them.
_PLAIN = frozenset({int, bool, float, Decimal})

_DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not typed

#: (object of the statement → the statement as the driver wants it). Statements are made once, with their module.
_compiled: dict[TextClause, str] = {}


def fetch(session: Session, statement: TextClause, values: Mapping[str, object]) -> list[Any]:
    """The rows of ``statement``, as named tuples. Whoever changed objects of the session flushes them before."""
    return _execute(session, statement, values).fetchall()


def run(session: Session, statement: TextClause, values: Mapping[str, object]) -> int:
    """Run ``statement``; returns how many rows it changed, or had."""
    return _execute(session, statement, values).rowcount


def _execute(session: Session, statement: TextClause, values: Mapping[str, object]) -> Cursor[Any]:
    words = _compiled.get(statement)
    if words is None:
        words = _compiled[statement] = str(statement.compile(dialect=_DIALECT))
    given = {name: array(value) if type(value) is list else value for name, value in values.items()}
    connection = session.connection().connection.driver_connection
    driver = cast("Connection[Any]", connection)
    try:
        return driver.cursor(row_factory=namedtuple_row).execute(words, given, prepare=True)
    except psycopg.Error as error:
        raise DBAPIError.instance(words, None, error, psycopg.Error, hide_parameters=True, dialect=_DIALECT) from error


def array(values: list[Any]) -> object:
    """A list as PostgreSQL writes an array of any type; as it is where there is something unusual in it."""
    if _PLAIN.issuperset(kinds := set(map(type, values))):
        return f"{{{','.join(map(str, values))}}}"
    if kinds <= {int, type(None)}:
        return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
    if kinds == {str}:
        quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
        return '{"' + '","'.join(quoted) + '"}'
    return values
