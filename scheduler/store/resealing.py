"""Changing the encryption key: what older keys sealed is sealed anew with the first, a chunk a transaction.

What is sealed tells by itself which key fits, so nothing has to be remembered: whoever begins again goes on. A value
that somebody else changed meanwhile is left as they wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Unavailable
from scheduler.store.secrets import key_texts, seal, unseal

#: Every column that holds what is sealed: table, primary key, column. A test walks the tables for others.
SEALED: tuple[tuple[str, str, str], ...] = (
    ("app", "id", "secret_sealed"),
    ("app", "id", "previous_secret_sealed"),
    ("app", "id", "verify_token_sealed"),
    ("page", "id", "token_sealed"),
    ("permission_token", "id", "sealed"),
    ("stable_key", "purpose", "sealed"),
)
#: Rows of one transaction.
CHUNK = 500


@dataclass(slots=True, kw_only=True)
class Resealed:
    """How a column stands."""

    table: str
    column: str
    #: Sealed with the first key already; sealed anew (or to be); sealed with a key that is not here.
    fresh: int = 0
    resealed: int = 0
    unreadable: int = 0


def reseal_chunk(
    session: Session, done: Resealed, primary: str, after: object | None, *, write: bool = True, limit: int = CHUNK
) -> object | None:
    """Seal the next rows of a column anew, and count them in ``done``; returns where to go on, None at the end.

    One transaction, the caller's. Without ``write`` it only counts.
    """
    table, column = done.table, done.column
    look = f"SELECT {primary} AS id, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL "  # noqa: S608 - SEALED's
    order = f"ORDER BY {primary} LIMIT :limit"
    connection = session.connection()
    if after is None:
        rows = connection.execute(text(look + order), {"limit": limit}).all()
    else:
        rows = connection.execute(
            text(f"{look} AND {primary} > :after {order}"), {"after": after, "limit": limit}
        ).all()
    newest = Fernet(key_texts()[0])
    swap = text(f"UPDATE {table} SET {column} = :new WHERE {primary} = :id AND {column} = :old")  # noqa: S608
    changes = []
    for row in rows:
        old = bytes(row.sealed)
        try:
            newest.decrypt(old)
            done.fresh += 1
            continue
        except InvalidToken:
            pass
        try:
            changes.append({"id": row.id, "old": old, "new": seal(unseal(old))})
            done.resealed += 1
        except Unavailable:
            done.unreadable += 1
    if write and changes:
        connection.execute(swap, changes)
    return rows[-1].id if len(rows) == limit else None
