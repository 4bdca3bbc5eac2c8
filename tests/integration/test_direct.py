"""Statements that go to the driver itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session

from scheduler.store import database
from scheduler.store.direct import fetch, run, together


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", []),
        ("bigint", [1, -2, 2**62]),
        ("bigint", [1, None, 3]),
        ("boolean", [True, False]),
        ("numeric", [Decimal("1.25"), Decimal(7)]),
        ("text", ["", "a b", 'say "no"', "back\\slash", "NULL", "{a,b}", "line\nline", "ünï 😀", "50 %"]),
        ("text", ["a", None]),
    ],
)
def test_lists_arrive_as_they_are(database_url: str, kind: str, values: list[object]) -> None:
    with database.session() as session:
        (row,) = fetch(session, text(f"SELECT CAST(:values AS {kind}[]) AS same"), {"values": values})
    assert row.same == values


def test_together_each_sees_what_came_before(database_url: str) -> None:
    with database.session() as session:
        run(session, text("CREATE TEMPORARY TABLE seen (id int PRIMARY KEY)"), {})
        nothing, some = together(
            session,
            (text("INSERT INTO seen SELECT 1"), {}),
            (text("SELECT id FROM seen WHERE id = ANY(:ids)"), {"ids": [1]}),
        )
        assert nothing == []
        assert [row.id for row in some] == [1]
        assert run(session, text("DELETE FROM seen"), {}) == 1
        assert together(session) == []


def test_errors_are_those_of_sqlalchemy_and_name_no_value(session: Session) -> None:
    run(session, text("CREATE TEMPORARY TABLE once (word text PRIMARY KEY)"), {})
    insert = text("INSERT INTO once VALUES (:word)")
    for ask in (
        lambda: run(session, insert, {"word": "secret"}),
        lambda: together(session, *[(insert, {"word": "a"})] * 2),
    ):
        with pytest.raises(IntegrityError) as raised, session.begin_nested():
            run(session, insert, {"word": "secret"})
            ask()
        assert "INSERT INTO once" in str(raised.value)
    # A savepoint brings the transaction back.
    assert fetch(session, text("SELECT count(*) AS many FROM once"), {})[0].many == 0


def test_a_lock_that_is_not_given_is_an_operational_error(database_url: str) -> None:
    lock = text("SELECT pg_advisory_xact_lock(7)")
    with database.session() as first, pytest.raises(OperationalError), database.session() as second:
        run(first, lock, {})
        together(second, (text("SET LOCAL lock_timeout = '10ms'"), {}), (lock, {}))
