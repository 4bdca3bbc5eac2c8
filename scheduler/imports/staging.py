"""A file into staging: read to its end, or not at all. Nothing about anybody changes by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.errors import Conflict, Malformed, TooLarge
from scheduler.imports.cells import read_cell
from scheduler.imports.collecting import no_collecting
from scheduler.imports.mapping import guess_mapping
from scheduler.imports.reading import MAX_ROWS, Sheet, Source, open_sheet
from scheduler.imports.suspects import says_opted_out, suspects
from scheduler.imports.tables import ContactImport
from scheduler.logs import request_id
from scheduler.store.copying import as_json, copy_rows

#: Imports of a page that wait to be applied or discarded: they hold people's data twice.
MAX_OPEN = 10

_OPEN = text("""
    SELECT count(*) FROM contact_import WHERE page_id = :page_id AND status NOT IN ('applied', 'discarded')
""")
_MAX_NAME = 200
#: Rows whose cells are looked at for opt-outs in columns of any name.
_LOOKED_AT = 1_000


class _Hashed:
    """A source that remembers what went through it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def readline(self, limit: int, /) -> bytes:
        """The next line of the source."""
        line = self._source.readline(limit)
        self.digest.update(line)
        return line


def stage_file(session: Session, page_id: int, source: Source, *, name: str, actor: str, now: int) -> ContactImport:
    """Copy a file into staging with the mapping that its headers suggest. Returns the import, ``uploaded``.

    Raises Malformed or TooLarge with the line and Conflict when the page has too many unfinished imports; then
    nothing is kept.
    """
    if session.connection().execute(_OPEN, {"page_id": page_id}).scalar_one() >= MAX_OPEN:
        raise Conflict(
            f"the page has {MAX_OPEN} imports that are not finished",
            way_out="apply or discard one: `duly contacts imports` lists them",
        )
    hashed = _Hashed(source)
    sheet = open_sheet(hashed)
    made = ContactImport(
        page_id=page_id,
        name="".join(each for each in name if each.isprintable())[:_MAX_NAME] or "upload",
        digest="",
        status="uploaded",
        headers=sheet.headers,
        mapping=guess_mapping(sheet.headers),
        constants={},
        row_count=0,
        counts={},
        actor=actor,
        request_id=request_id(),
        created_at=now,
    )
    session.add(made)
    session.flush()
    assert made.id is not None  # it was flushed
    rows = _Rows(sheet)
    with no_collecting():
        copy_rows(session, "contact_import_row", ("import_id", "n", "line", "cells"), rows.lines(made.id))
    if not rows.count:
        raise Malformed("there is nothing below the header", field="file", way_out="one line a person")
    made.row_count = rows.count
    made.digest = hashed.digest.hexdigest()
    made.suspects = suspects(sheet.headers, rows.suspects)
    session.add(made)
    record(
        session,
        actor=actor,
        action="contacts.import_upload",
        subject=f"import:{made.id}",
        detail={"page_id": page_id, "rows": made.row_count, "sha256": made.digest},
        now=now,
    )
    session.flush()
    return made


class _Rows:
    """The rows of a sheet in the text format of COPY, counted."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self.count = 0
        #: Positions of columns in whose first cells somebody wants no messages.
        self.suspects: set[int] = set()

    def lines(self, import_id: int) -> Iterator[str]:
        """Each row of the sheet."""
        for line, cells in self._sheet.rows:
            self.count += 1
            if self.count > MAX_ROWS:
                raise TooLarge(f"has more than {MAX_ROWS} rows", field="file", way_out="split it and import the parts")
            if self.count <= _LOOKED_AT:
                self.suspects.update(n for n, cell in enumerate(cells) if says_opted_out(cell))
            staged = as_json(cells)
            if "'" in staged:
                staged = as_json([read_cell(cell) for cell in cells])
            # JSON escapes every control character: only its own backslashes need another.
            yield f"{import_id}\t{self.count}\t{line}\t" + staged.replace("\\", "\\\\") + "\n"
