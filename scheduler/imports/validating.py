"""Checks every row in staging before anything changes: chunk by chunk, and at the end against each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.contacts.bulk import find_people
from scheduler.contacts.identities import KINDS, find_by_identity, uniform
from scheduler.contacts.psids import ROUNDED, are_rounded
from scheduler.imports.collecting import no_collecting
from scheduler.imports.fields import BY_NAME
from scheduler.imports.overfull import refuse_overfull
from scheduler.imports.refused import refused
from scheduler.imports.rows import Problem, Reading, RowReader, shown
from scheduler.imports.tables import ContactImport
from scheduler.store.copying import as_json, copy_rows, line

#: Rows of one transaction.
CHUNK = 5_000

# As one JSON text: the driver would decode each row by itself. By a range, as in ``ahead.py``.
_ROWS = text("""
    SELECT string_agg('[' || n || ',' || line || ',' || cells || ']', ',' ORDER BY n)
    FROM contact_import_row WHERE import_id = :id AND n > :after AND n <= :last
""")
_PSIDS = text("SELECT id, psid FROM contact WHERE id = ANY(:ids)")
# Without a join of staging with itself: of rows that were copied a moment ago PostgreSQL has no statistics.
#: Of two rows about one person nobody knows which is right: neither is applied, and each names the other.
_TWICE = text("""
    SELECT * FROM (
        SELECT n, line, psid, coalesce(lag(line) OVER each, lead(line) OVER each) AS other
        FROM contact_import_person WHERE import_id = :id AND left(CAST(known AS text), 11) <> '{"rejected"'
        WINDOW each AS (PARTITION BY psid ORDER BY n)
    ) AS found WHERE other IS NOT NULL ORDER BY n
""")
#: A name stands for one person.
_SHARED = text("""
    SELECT * FROM (
        SELECT n, line, kind, coalesce(lag(line) OVER one, lead(line) OVER one) AS other FROM (
            SELECT p.n, p.line, each ->> 0 AS kind, each ->> 1 AS value
            FROM contact_import_person p, json_array_elements(p.known -> 'links') AS each
            WHERE p.import_id = :id
        ) AS named WINDOW one AS (PARTITION BY kind, value ORDER BY n)
    ) AS found WHERE other IS NOT NULL ORDER BY n
""")
#: Ids of more digits than a spreadsheet keeps, and those of them that have zeros behind these.
_ROUNDED = text(r"""
    SELECT count(*) AS long, count(*) FILTER (WHERE psid ~ '^\d{15}0+$') AS cut,
        min(line) FILTER (WHERE psid ~ '^\d{15}0+$') AS line
    FROM contact_import_person WHERE import_id = :id AND psid ~ '^\d{16,}$'
""")
# What is sorted fits into memory up to some hundred thousand rows; on disk it takes twice as long.
_MEMORY = text("SET LOCAL work_mem = '64MB'")
_DROP = text("""
    WITH kept AS (
        UPDATE contact_import_person
        SET known = json_build_object('rejected', true, 'opt_outs', known -> 'opt_outs')
        WHERE import_id = :id AND n = ANY(:rows) AND known -> 'opt_outs' IS NOT NULL RETURNING n, line
    ), dropped AS (
        DELETE FROM contact_import_person WHERE import_id = :id AND n = ANY(:rows) AND known -> 'opt_outs' IS NULL
    )
    INSERT INTO contact_import_error (import_id, n, line, problem, allowed, severity)
    SELECT :id, n, line, :problem, :allowed, 'warning' FROM kept
""")
#: An opt-out is not lost because something else of its row is wrong: staged alone, marked as ``rejected`` first of all.
_KEPT = ("the row is not applied, but its opt-out is", "correct the row and import it again")
_ERROR_COLUMNS = ("import_id", "n", "line", "column_name", "field", "value", "problem", "allowed", "severity")
_BAD = text("SELECT count(DISTINCT n) FROM contact_import_error WHERE import_id = :id AND severity = 'error'")
_ERASED = Problem(
    "this person's data was erased at their wish; they are not imported again",
    "delete the row",
    field="psid",
)


def validate_next(
    session: Session, now: int, *, import_id: int | None = None, limit: int = CHUNK
) -> ContactImport | None:
    """Check the next rows of an import (the oldest that waits, or ``import_id``); None when nothing waits for it.

    The rows' readings, their errors and the cursor are one transaction, the caller's: call it again until the import
    it returns is ``validated``. Nobody else is at work on the import it returns.
    """
    found = claim(session, "validating", import_id)
    if found is None:
        return None
    chunk = _Chunk(session, found, now)
    rows = _rows(session, found, after=found.checked, limit=limit)
    chunk.check(rows)
    found.checked = min(found.checked + limit, found.row_count)
    if found.checked >= found.row_count:
        _against_each_other(session, found)
        found.bad = session.connection().execute(_BAD, {"id": found.id}).scalar_one()
        found.status = "validated"
        found.validated_at = now
    else:
        found.bad += chunk.bad
    session.add(found)
    session.flush()
    return found


def claim(session: Session, status: str, import_id: int | None) -> ContactImport | None:
    """The import to go on with, locked until the transaction ends; None when there is none or somebody has it."""
    wanted = select(ContactImport).where(ContactImport.status == status).order_by(col(ContactImport.id)).limit(1)
    if import_id is not None:
        wanted = wanted.where(ContactImport.id == import_id)
    return session.exec(
        wanted.with_for_update(key_share=True, skip_locked=True).execution_options(populate_existing=True)
    ).first()


def preview(session: Session, found: ContactImport, now: int, rows: int = 10) -> list[tuple[int, Reading]]:
    """(line, what would be applied or is wrong) of the first rows. Looks nobody up and keeps nothing."""
    reader = row_reader(found, now)
    return [(line, reader.read(cells)) for _, line, cells in _rows(session, found, after=0, limit=rows)]


def row_reader(found: ContactImport, now: int) -> RowReader:
    """The reader of an import's rows. Raises Invalid for a constant that cannot be read."""
    return RowReader(
        found.headers, found.mapping, found.constants, read_identity=uniform, now=now, skip_cells=found.skip_cells
    )


def _rows(session: Session, found: ContactImport, *, after: int, limit: int) -> list[tuple[int, int, list[str]]]:
    values = {"id": found.id, "after": after, "last": after + limit}
    staged = session.connection().execute(_ROWS, values).scalar()
    rows: list[tuple[int, int, list[str]]] = json.loads(f"[{staged or ''}]")
    return rows


class _Chunk:
    """Some thousand rows: read one by one, looked up all at once."""

    def __init__(self, session: Session, found: ContactImport, now: int) -> None:
        assert found.id is not None  # a stored import has its id
        self._session, self._import, self._id = session, found, found.id
        self._reader = row_reader(found, now)
        self._columns = {field: column for column, field in found.mapping.items()}
        self.bad = 0

    @no_collecting()
    def check(self, rows: Sequence[tuple[int, int, list[str]]]) -> None:
        """Stage what is good and keep what is wrong."""
        readings = [(n, at, self._reader.read(cells)) for n, at, cells in rows]
        # Of a bad row only who opts out is of interest; whoever has an id in it is found when it is applied.
        self._find_people([each for _, _, each in readings if not each.bad or (each.opts_out and each.psid is None)])
        good: list[str] = []
        wrong: list[str] = []
        for n, at, reading in readings:
            keeps = reading.bad and reading.opts_out and reading.psid is not None and _ERASED not in reading.problems
            if keeps:
                reading.problems.append(Problem(*_KEPT, severity="warning"))
                reading.known = {"rejected": True, "opt_outs": reading.known["opt_outs"]}
            wrong += (
                line(self._id, n, at, each.column, each.field, each.value, each.problem, each.allowed, each.severity)
                for each in reading.problems
            )
            if reading.bad:
                self.bad += 1
            if keeps or not reading.bad:
                # A psid has nothing to escape, and JSON only its own backslashes.
                known = as_json(reading.known).replace("\\", "\\\\")
                good.append(f"{self._id}\t{n}\t{at}\t{reading.psid}\t{known}\n")
        copy_rows(self._session, "contact_import_person", ("import_id", "n", "line", "psid", "known"), good)
        copy_rows(self._session, "contact_import_error", _ERROR_COLUMNS, wrong)

    def _find_people(self, readings: list[Reading]) -> None:
        by_name = {
            kind: find_by_identity(self._session, self._import.page_id, kind, values)
            for kind in KINDS
            if (values := {reading.identities[kind] for reading in readings if kind in reading.identities})
        }
        ids = find_people(self._session, self._import.page_id, {each.psid for each in readings if each.psid})
        named = {contact_id for found in by_name.values() for contact_id in found.values()}
        rows = self._session.connection().execute(_PSIDS, {"ids": sorted(named)}) if named else ()
        psids = {row.id: row.psid for row in rows}
        for reading in readings:
            self._find_person(reading, by_name, ids, psids)
        refuse_overfull(self._session, readings, ids)
        gone = refused(self._session, self._import.page_id, {each.psid for each in readings if each.psid})
        for reading in readings:
            if reading.psid in gone:
                reading.problems.append(_ERASED)

    def _find_person(
        self, reading: Reading, by_name: dict[Any, dict[str, int]], ids: dict[str, int], psids: dict[int, str]
    ) -> None:
        links = {kind: by_name[kind].get(value) for kind, value in reading.identities.items()}
        known = {contact_id for contact_id in links.values() if contact_id is not None}
        if reading.psid is None:
            if len(known) == 1:
                (found,) = known
                reading.psid = psids[found]
                ids[reading.psid] = found
                return
            words = "belong to different people" if known else "belongs to nobody who is known"
            for kind, value in reading.identities.items():
                self._refuse(reading, kind, value, words)
            return
        for kind, contact_id in links.items():
            if contact_id is not None and contact_id != ids.get(reading.psid):
                self._refuse(reading, kind, reading.identities[kind], "belongs to another person already")

    def _refuse(self, reading: Reading, kind: str, value: str, words: str) -> None:
        allowed = "who is new needs a psid; merge two contacts, or unlink the name, before one gets the other's"
        reading.problems.append(Problem(words, allowed, self._columns.get(kind), kind, shown(BY_NAME[kind], value)))


def _warn_of_rounded(session: Session, found: ContactImport, column: str) -> None:
    counted = session.connection().execute(_ROUNDED, {"id": found.id}).one()
    if are_rounded(counted.cut, counted.long):
        problem = f"{counted.cut} of {counted.long} ids end in zeros: the column {ROUNDED}"
        allowed = BY_NAME["psid"].allowed
        warning = line(found.id, 0, counted.line, column, "psid", None, problem, allowed, "warning")
        copy_rows(session, "contact_import_error", _ERROR_COLUMNS, [warning])


def _against_each_other(session: Session, found: ContactImport) -> None:
    columns = {field: column for column, field in found.mapping.items()}
    if "psid" in columns:
        _warn_of_rounded(session, found, columns["psid"])
    by = next(name for name in ("psid", *KINDS) if name in columns)
    session.connection().execute(_MEMORY)
    _refuse_rows(
        session,
        found,
        [
            (row, columns[by], by, shown(BY_NAME["psid"], row.psid), "are about the same person")
            for row in session.connection().execute(_TWICE, {"id": found.id})
        ],
        allowed="one row a person; several consents go into a column of consents",
    )
    if set(KINDS) & set(columns):
        _refuse_rows(
            session,
            found,
            [
                (row, columns[row.kind], row.kind, None, "give it to two people")
                for row in session.connection().execute(_SHARED, {"id": found.id})
            ],
            allowed="a name of one person",
        )


def _refuse_rows(
    session: Session,
    found: ContactImport,
    wrong: list[tuple[Any, str, str, str | None, str]],
    *,
    allowed: str,
) -> None:
    """Take rows out of those to be applied; ``wrong``: row, column, field, value to show, words."""
    assert found.id is not None  # a stored import has its id
    if not wrong:
        return
    values = {"id": found.id, "rows": sorted({row.n for row, *_ in wrong}), "problem": _KEPT[0], "allowed": _KEPT[1]}
    session.connection().execute(_DROP, values)
    lines = []
    for row, column, field, value, words in wrong:
        first, second = sorted((row.line, row.other))
        problem = f"line {first} and line {second} {words}"
        lines.append(line(found.id, row.n, row.line, column, field, value, problem, allowed, "error"))
    copy_rows(session, "contact_import_error", _ERROR_COLUMNS, lines)
