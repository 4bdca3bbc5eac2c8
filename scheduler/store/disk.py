"""Can the database and this machine still write? A disk that is full refuses every webhook and answers every read.

The database is made to write a temporary file of its own and to drop it again: on the disk of its data, without a row,
a table or a line of its log.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

#: Bytes that must fit: a webhook's events, their rows and their indexes.
_ENOUGH = 2 * 1024 * 1024
#: Rows of a hundred bytes, which do not fit into so little memory, so that they are written to a file.
_LITTLE_MEMORY = text("SET LOCAL work_mem = '64kB'")
_SPILL = text("""
    SELECT count(*) FROM (
        SELECT g, repeat('x', 84) AS filler FROM generate_series(1, :rows) AS g ORDER BY filler, g DESC OFFSET 0
    ) AS sorted
""")
_ROW = 100


def database_cannot_write(session: Session) -> str | None:
    """Why the database cannot write, in its own words; None: it can. Nothing of it is left in the transaction."""
    try:
        with session.begin_nested():
            session.connection().execute(_LITTLE_MEMORY)
            session.connection().execute(_SPILL, {"rows": _ENOUGH // _ROW})
            session.connection().execute(text("SET LOCAL work_mem TO DEFAULT"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return str(error.orig).splitlines()[0]
    return None


def folder_cannot_write(folder: Path) -> str | None:
    """Why nothing can be written to ``folder``; None: it can, or it is not there yet."""
    if not folder.exists():
        return None
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ENOUGH))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
