"""Statements that run a thousand times a minute, handed to the driver itself, in the session's own transaction.

SQLAlchemy takes four times as long over a small statement as the driver does, and the driver takes a microsecond over
each element of a list. Errors are SQLAlchemy's, as from everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import psycopg
from psycopg import Connection, Cursor
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Dialect, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

#: A statement and its values.
Ask = tuple[TextClause, Mapping[str, object]]

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


def together(session: Session, *asked: Ask) -> list[list[Any]]:
    """The rows of each of these statements, which go to the server at once and run one after the other.

    Each sees what was committed before it began, as if it had been sent alone. On a busy machine waiting for one's turn
    costs more than a statement.
    """
    if len(asked) <= 1:
        return [_rows(_execute(session, *each)) for each in asked]
    connection = session.connection()
    cursors = []
    with _errors_of_sqlalchemy(*(statement for statement, _ in asked)), _driver(connection).pipeline():
        for statement, values in asked:
            cursors.append(_send(connection, statement, values))
    return [_rows(cursor) for cursor in cursors]


def _rows(cursor: Cursor[Any]) -> list[Any]:
    # ``description`` would make an object of each column.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def _execute(session: Session, statement: TextClause, values: Mapping[str, object]) -> Cursor[Any]:
    with _errors_of_sqlalchemy(statement):
        return _send(session.connection(), statement, values)


def _send(connection: SqlConnection, statement: TextClause, values: Mapping[str, object]) -> Cursor[Any]:
    cursor = _driver(connection).cursor(row_factory=namedtuple_row)
    words, given = _words(statement), _given(values)
    # Whoever listens to what the engine runs hears of this, too.
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, cursor, words, given, None, False)
    return cursor.execute(words, given, prepare=True)


def _driver(connection: SqlConnection) -> Connection[Any]:
    return cast("Connection[Any]", connection.connection.driver_connection)


def _words(statement: TextClause) -> str:
    words = _compiled.get(statement)
    if words is None:
        words = _compiled[statement] = str(statement.compile(dialect=_DIALECT))
    return words


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: array(value) if type(value) is list else value for name, value in values.items()}


@contextmanager
def _errors_of_sqlalchemy(*statements: TextClause) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # Which of several it was, the driver does not say.
        words = ";".join(map(_words, statements))
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
