"""What is to be noted outside the database once a transaction has committed: see ``scheduler/store/journal.py``."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Any

from sqlmodel import Session

from scheduler.store.secrets import derived_keys

#: Rows of the journal, made just before the commit, when everything is known.
Rows = Callable[[Session], Sequence[Sequence[Any]]]

_NOTES = "noted_outside"
_PURPOSE = "people in marks outside the database"


def note(session: Session, kind: str, rows: Rows) -> None:
    """Have ``rows`` of this kind written outside the database, if and when the session's transaction commits."""
    session.info.setdefault(_NOTES, []).append((kind, rows))


def noted(session: Session) -> bool:
    """Whether anything was."""
    return _NOTES in session.info


def take(session: Session) -> list[tuple[str, Rows]]:
    """What was noted so far; it is not given again."""
    taken: list[tuple[str, Rows]] = session.info.pop(_NOTES, [])
    return taken


def hash_keys() -> list[bytes]:
    """The keys by which people were hashed, the one that hashes now first."""
    return derived_keys(_PURPOSE)


def person_hash(page_id: int, psid: str, key: bytes | None = None) -> bytes:
    """What somebody is known by outside the database; ``key`` is one of ``hash_keys``, else the first."""
    hashed_with = key if key is not None else hash_keys()[0]
    return hmac.digest(hashed_with, f"{page_id}\0{psid}".encode("utf-8", "surrogatepass"), "sha256")
