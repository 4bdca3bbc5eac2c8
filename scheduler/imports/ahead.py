"""Staged rows read while the server applies those before them: on two processors neither waits for the other."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.settings import get_settings
from scheduler.store import database

# As one JSON text: the driver would decode each row by itself. By a range, not by a LIMIT: of rows that were copied a
# moment ago PostgreSQL has no statistics, and would sort all that are left each time.
_ROWS = text("""
    SELECT string_agg('[' || n || ',' || to_json(psid) || ',' || known || ']', ',' ORDER BY n)
    FROM contact_import_person WHERE import_id = :id AND n > :after AND n <= :last
""")

#: n, psid, known.
StagedRow = tuple[int, str, dict[str, Any]]


def staged_rows(session: Session, import_id: int, *, after: int, last: int) -> list[StagedRow]:
    """Those that are to be applied of a file's rows after the ``after``th, to the ``last``."""
    found = session.connection().execute(_ROWS, {"id": import_id, "after": after, "last": last}).scalar()
    rows: list[StagedRow] = json.loads(f"[{found or ''}]")
    return rows


class Ahead:
    """Reads the chunk after the one that was asked for, in a thread and a transaction of its own. A context manager.

    What was validated does not change while it is applied, so what is read early is what would be read in time. Only an
    erasure takes rows away, and who was erased is refused when the rows are applied.
    """

    def __init__(self) -> None:
        # Of a pool of one the thread would wait for the connection of whoever waits for the thread.
        self._threads = ThreadPoolExecutor(1, "import-ahead") if get_settings().database_pool > 1 else None
        self._next: tuple[tuple[int, int, int], Future[list[StagedRow]]] | None = None

    def rows(self, session: Session, import_id: int, *, after: int, last: int, end: int) -> list[StagedRow]:
        """``staged_rows``, perhaps read already; as many after them, but none after ``end``, are read from now on."""
        expected, self._next = self._next, None
        if expected is not None and expected[0] == (import_id, after, last):
            rows = expected[1].result()
        else:
            rows = staged_rows(session, import_id, after=after, last=last)
        if self._threads is not None and last < end:
            wanted = (import_id, last, min(end, 2 * last - after))
            self._next = wanted, self._threads.submit(_read, *wanted)
        return rows

    def waits_for(self) -> tuple[int, int, int] | None:
        """The import, and after and to which of its rows is read ahead, once that is read; None where nothing is."""
        if self._next is None:
            return None
        self._next[1].result()
        return self._next[0]

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


def _read(import_id: int, after: int, last: int) -> list[StagedRow]:
    with database.session() as session:
        return staged_rows(session, import_id, after=after, last=last)
