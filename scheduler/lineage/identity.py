"""Which database this is: its lineage, its generation, and whether it is held.

A lineage is a random name that a database gets at its first start and keeps through dumps and restores. A generation
ends with each release after a restore, so that marks which were settled then are not held against it again. Where the
database is (the server's own id and the database's number on it) tells a copy from the original.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid
from scheduler.store.journal import Head

_MAY_ASK = text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
_SERVER = text("SELECT system_identifier::text FROM pg_control_system()")
_NUMBER = text("SELECT oid::text FROM pg_database WHERE datname = current_database()")
_OPEN = text("SELECT lineage, generation, home, opened_at, held_at, held_why FROM lineage WHERE closed_at IS NULL")
_CLAIM = text("""
    INSERT INTO lineage (generation, lineage, home, opened_at) VALUES (:generation, :lineage, :home, :now)
    ON CONFLICT DO NOTHING
""")
_HOLD = text("""
    UPDATE lineage SET held_at = :now, held_why = :why WHERE closed_at IS NULL AND held_at IS NULL RETURNING generation
""")
_CLOSE = text("UPDATE lineage SET closed_at = :now WHERE closed_at IS NULL AND held_at IS NOT NULL RETURNING lineage")
_CLOSED = text("SELECT generation FROM lineage WHERE closed_at IS NOT NULL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The open generation of this database."""

    head: Head
    opened_at: int
    held_at: int | None
    held_why: str | None


def identity(session: Session) -> Identity | None:
    """Which database this is; None before its first start."""
    row = session.connection().execute(_OPEN).one_or_none()
    if row is None:
        return None
    head = Head(lineage=row.lineage, generation=row.generation, home=row.home)
    return Identity(head=head, opened_at=row.opened_at, held_at=row.held_at, held_why=row.held_why)


def held_words(session: Session) -> list[str]:
    """That the database is held, in words; empty: it is not."""
    known = identity(session)
    if known is None or known.held_at is None:
        return []
    return [f"nothing is sent: {known.held_why}; `duly restore status` shows what to do"]


def claim(session: Session, now: int) -> Identity:
    """Which database this is. At its first start it gets its lineage; of two processes that give it one, one does."""
    found = identity(session)
    if found is None:
        values = {"generation": _name(), "lineage": _name(), "home": home_of(session), "now": now}
        session.connection().execute(_CLAIM, values)
        found = identity(session)
        assert found is not None
    return found


def home_of(session: Session) -> str:
    """Where this database is: another place means that it was copied or restored there."""
    connection = session.connection()
    server = connection.execute(_SERVER).scalar_one() if connection.execute(_MAY_ASK).scalar_one() else "-"
    return f"{server}/{connection.execute(_NUMBER).scalar_one()}"


def closed_generations(session: Session) -> set[str]:
    """The generations whose marks were settled."""
    return set(session.connection().execute(_CLOSED).scalars())


def hold(session: Session, why: str, now: int) -> bool:
    """Let nothing be sent until somebody releases the database. False: it is held already."""
    return session.connection().execute(_HOLD, {"why": why, "now": now}).one_or_none() is not None


def hold_by_hand(session: Session, why: str, *, actor: str, now: int) -> None:
    """``hold``, by a person. Audited. Raises Invalid without a reason, Conflict where it is held already."""
    words = _checked(why)
    claim(session, now)
    if not hold(session, words, now):
        raise Conflict("the database is held already", way_out="`duly restore` shows why")
    record(session, actor=actor, action="restore.hold", subject="database", detail={"why": words}, now=now)


def open_generation(session: Session, now: int) -> Head:
    """End the held generation and open the next, where the database is now. Raises Conflict where it is not held."""
    lineage = session.connection().execute(_CLOSE, {"now": now}).scalar_one_or_none()
    if lineage is None:
        raise Conflict("the database is not held", way_out="nothing is to be done")
    head = Head(lineage=lineage, generation=_name(), home=home_of(session))
    values = {"generation": head.generation, "lineage": head.lineage, "home": head.home, "now": now}
    session.connection().execute(_CLAIM, values)
    return head


def _checked(why: str) -> str:
    words = why.strip()
    if not words or len(words) > 500 or "\x00" in words:
        raise Invalid("a reason is needed", field="why", way_out="say in 1 to 500 characters why")
    return words


def _name() -> str:
    return os.urandom(8).hex()
