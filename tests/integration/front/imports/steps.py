"""The steps of an import, one after the other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.imports import registry
from scheduler.imports.tables import ContactImport
from scheduler.store import database

#: Wednesday 2026-11-18, 11:06:40 UTC: the instant at which the clock stands.
NOW = 1_795_000_000
#: What a file says of consents that came by one form.
FORM = {"consent.kind": "express", "consent.source": "checkout form", "consent.wording": "Send me offers."}


def to_the_end(status: str, import_id: int, step: Any, *, limit: int) -> ContactImport:
    """Call ``step`` until the import is no longer in ``status``; the import as it is then."""
    while True:
        with database.session() as session:
            found: ContactImport = step(session, NOW, import_id=import_id, limit=limit)
        if found.status != status:
            return found


def errors_of(import_id: int) -> list[tuple[int, str | None, str | None, str]]:
    """Line, column, value and problem of each error."""
    with database.session() as session:
        return [(each.line, each.column_name, each.value, each.problem) for each in registry.errors(session, import_id)]


def rows_of(query: str, **values: object) -> list[Any]:
    """The rows of a query in a transaction of its own."""
    with Session(database.engine()) as session:
        return list(session.connection().execute(text(query), values).all())
