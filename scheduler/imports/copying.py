"""Rows into staging by COPY, as text: thousands of rows cost one statement and no parameter each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from psycopg import Connection
from sqlmodel import Session

from scheduler.imports.collecting import no_collecting

#: Rows that are sent to the server at once.
_BATCH = 1_000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@no_collecting()
def copy_rows(session: Session, table: str, columns: tuple[str, ...], lines: Iterable[str]) -> None:
    """Add rows to a staging table; ``line`` makes each of ``lines``. ``table`` and ``columns`` are our own words."""
    driver = cast("Connection[Any]", session.connection().connection.driver_connection)
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        waiting: list[str] = []
        for each in lines:
            waiting.append(each)
            if len(waiting) == _BATCH:
                copy.write("".join(waiting))
                waiting.clear()
        copy.write("".join(waiting))


def line(*cells: str | int | None) -> str:
    """One row in the text format of COPY."""
    return "\t".join("\\N" if cell is None else str(cell).translate(_ESCAPES) for cell in cells) + "\n"


def as_json(value: object) -> str:
    """``value`` as compact JSON. It has no tabs or line ends of its own."""
    return _encode(value)
