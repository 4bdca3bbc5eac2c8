"""Rows into a table by COPY, as text: thousands of rows cost one statement and no parameter each."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlmodel import Session

from scheduler.store.driver import driver_of

#: Rows that are sent to the server at once.
_BATCH = 1_000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(session: Session, table: str, columns: tuple[str, ...], lines: Iterable[str]) -> None:
    """Add rows to a table; ``line`` makes each of ``lines``. ``table`` and ``columns`` are our own words."""
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with driver_of(session) as driver, driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        waiting: list[str] = []
        for each in lines:
            waiting.append(each)
            if len(waiting) == _BATCH:
                copy.write("".join(waiting))
                waiting.clear()
        copy.write("".join(waiting))


def line(*cells: str | int | None) -> str:
    """One row in the text format of COPY."""
    return "\t".join("\\N" if cell is None else escaped(str(cell)) for cell in cells) + "\n"


def escaped(cell: str) -> str:
    """A text as COPY reads it back."""
    return cell.translate(_ESCAPES)


def as_json(value: object) -> str:
    """``value`` as compact JSON. It has no tabs or line ends of its own."""
    return _encode(value)
