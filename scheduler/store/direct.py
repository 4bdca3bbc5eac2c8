"""Statements that run a thousand times a minute, handed to the driver itself, in the session's own transaction.

SQLAlchemy takes four times as long over a small statement as the driver does, and the driver takes a microsecond over
each element of a list. Errors are SQLAlchemy's, as from everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Cursor
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import TextClause
from sqlmodel import Session

from scheduler.store.driver import DIALECT, driver_under, errors_of_sqlalchemy
from scheduler.store.lists import array

#: A statement and its values.
Ask = tuple[TextClause, Mapping[str, object]]

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
    # Which of several it was that failed, the driver does not say.
    words = ";".join(_words(statement) for statement, _ in asked)
    with errors_of_sqlalchemy(words), driver_under(connection).pipeline():
        for statement, values in asked:
            cursors.append(_send(connection, statement, values))
    return [_rows(cursor) for cursor in cursors]


def _rows(cursor: Cursor[Any]) -> list[Any]:
    # ``description`` would make an object of each column.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []


def _execute(session: Session, statement: TextClause, values: Mapping[str, object]) -> Cursor[Any]:
    with errors_of_sqlalchemy(_words(statement)):
        return _send(session.connection(), statement, values)


def _send(connection: SqlConnection, statement: TextClause, values: Mapping[str, object]) -> Cursor[Any]:
    cursor = driver_under(connection).cursor(row_factory=namedtuple_row)
    words, given = _words(statement), _given(values)
    # Whoever listens to what the engine runs hears of this, too.
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, cursor, words, given, None, False)
    return cursor.execute(words, given, prepare=True)


def _words(statement: TextClause) -> str:
    words = _compiled.get(statement)
    if words is None:
        words = _compiled[statement] = str(statement.compile(dialect=DIALECT))
    return words


def _given(values: Mapping[str, object]) -> dict[str, object]:
    # As text, of which the server finds the type: to find it here the driver looks at each element.
    return {
        name: value if type(value) is not list or (written := array(value)) is None else written
        for name, value in values.items()
    }
