"""Counts of messages in bounded time: exact while that is quick, else PostgreSQL's estimate, said as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.errors import QueryCanceled
from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

#: The limit of the connection's kind of work is in force again.
_AS_BEFORE = text("SET LOCAL statement_timeout TO DEFAULT")
#: Real seconds that an exact count may take.
PATIENCE = 0.25
#: Megabytes up to which a table is counted whole however long it takes: that is a moment. And for how many real seconds
#: a larger one is counted.
SMALL = {"message": 32, "message_log": 128}
_LARGE_PATIENCE = 0.4
_SIZE = text("SELECT pg_relation_size(CAST(:table AS regclass)) AS bytes")


@dataclass(slots=True)
class Counts:
    """Rows by what they were grouped by, the groups as tuples; those without rows are left out."""

    exact: bool = True
    of: dict[tuple[Any, ...], int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.of.values())


def count_messages(
    session: Session,
    groups: Mapping[str, tuple[str, ...]],
    where: str = "true",
    values: Mapping[str, object] | None = None,
    *,
    patience: float = PATIENCE,
) -> Counts:
    """Messages (``m``) counted by columns of theirs: column → the values that are counted.

    ``where`` is SQL of the caller's own, ``values`` what it binds. Counts exactly for up to ``patience`` real seconds;
    past that, what the planner expects of each group, from its statistics: ``exact`` is False then.
    """
    session.flush()
    given = {**(values or {}), **{f"_{column}": list(known) for column, known in groups.items()}}
    narrowed = " AND ".join([where, *(f"m.{column} = ANY(:_{column})" for column in groups)])
    columns = ", ".join(f"m.{column}" for column in groups)
    count = text(f"SELECT {columns}, count(*) AS n FROM message m WHERE {narrowed} GROUP BY {columns}")  # noqa: S608 - constants only
    rows = within(session, patience, count, given)
    if rows is not None:
        return Counts(of={tuple(row[:-1]): int(row.n) for row in rows})
    return Counts(exact=False, of=_estimates(session, groups, where, dict(values or {})))


def within(
    session: Session, patience: float, statement: TextClause, values: Mapping[str, object]
) -> Sequence[Row[Any]] | None:
    """The rows of ``statement``, or None where they take longer than ``patience`` real seconds."""
    try:
        with session.begin_nested():
            _limit(session, patience)
            rows = session.connection().execute(statement, values).all()
            session.connection().execute(_AS_BEFORE)
            return rows
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            return None
        raise


def in_time(
    session: Session, table: str, statement: TextClause, values: Mapping[str, object]
) -> Sequence[Row[Any]] | None:
    """The rows of ``statement``, which looks through ``table``; None where that is large and they take too long."""
    size = int(session.connection().execute(_SIZE, {"table": table}).scalar_one())
    if size <= SMALL[table] * 1024 * 1024:
        return session.connection().execute(statement, values).all()
    return within(session, _LARGE_PATIENCE, statement, values)


def sample_share(session: Session, blocks: int) -> float:
    """So many blocks of the messages, in percent of all: for ``TABLESAMPLE SYSTEM``."""
    size = int(session.connection().execute(_SIZE, {"table": "message"}).scalar_one())
    return min(100.0, 100.0 * blocks * 8192 / max(size, 8192))


def _limit(session: Session, seconds: float) -> None:
    session.connection().execute(
        text("SELECT set_config('statement_timeout', :most, true)"), {"most": f"{int(seconds * 1000)}ms"}
    )


def _estimates(
    session: Session, groups: Mapping[str, tuple[str, ...]], where: str, values: dict[str, object]
) -> dict[tuple[Any, ...], int]:
    # Literals, not parameters: a partial index is only thought of where its predicate is seen to hold.
    found: dict[tuple[Any, ...], int] = {}
    for group in _product(list(groups.values())):
        narrowed = " AND ".join(
            [where, *(f"m.{column} = '{value}'" for column, value in zip(groups, group, strict=True))]
        )
        explain = text(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM message m WHERE {narrowed}")  # noqa: S608 - constants only
        plan = session.connection().execute(explain, values).scalar_one()
        rows = int(plan[0]["Plan"]["Plan Rows"])
        # The planner never expects less than one row.
        if rows > 1:
            found[group] = rows
    return found


def _product(groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for known in groups:
        found = [(*so_far, value) for so_far in found for value in known]
    return found
