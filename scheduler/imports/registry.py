"""Imports as people see them: one, many, what is wrong with one; and what ends one early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from sqlalchemy import text, tuple_
from sqlmodel import Session, col, select

from scheduler.audit.record import record
from scheduler.errors import Conflict, NotFound
from scheduler.imports.cells import csv_text
from scheduler.imports.mapping import check_constants, check_person, corrected, guess_mapping, left_out
from scheduler.imports.suspects import ask_about
from scheduler.imports.tables import ContactImport, RowError

#: Before these nothing about anybody has changed.
BEFORE_APPLYING = ("uploaded", "validating", "validated")
#: Days on Duly's clock after which a file that nobody applied is discarded: it holds what people are called.
FORGOTTEN_AFTER = 7 * 86_400

#: The columns of the file of errors.
ERROR_COLUMNS = ("line", "column", "field", "value", "problem", "allowed", "severity")
_KINDS = text("""
    SELECT coalesce(field, '') AS field, problem, severity, count(*) AS rows, min(line) AS first_line
    FROM contact_import_error WHERE import_id = :id GROUP BY 1, 2, 3
    ORDER BY severity = 'error' DESC, 4 DESC, 5 LIMIT :limit
""")
_OPEN = text("SELECT id FROM contact_import WHERE status IN ('validating', 'applying') ORDER BY status, id")
_FORGOTTEN = text("""
    SELECT id FROM contact_import
    WHERE status IN ('uploaded', 'validated', 'failed') AND greatest(created_at, validated_at) < :before
    ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
""")
_CLEAR = (
    text("DELETE FROM contact_import_person WHERE import_id = :id"),
    text("DELETE FROM contact_import_row WHERE import_id = :id"),
)
_CLEAR_CHECKED = (
    text("DELETE FROM contact_import_person WHERE import_id = :id"),
    text("DELETE FROM contact_import_error WHERE import_id = :id"),
)


def get_import(session: Session, import_id: int, *, lock: bool = False) -> ContactImport:
    """One import, locked until the transaction ends where that is asked for. Raises NotFound."""
    wanted = select(ContactImport).where(ContactImport.id == import_id)
    if lock:
        wanted = wanted.with_for_update(key_share=True)
    found = session.exec(wanted.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound(f"there is no import {import_id}", field="import", way_out="`duly contacts imports` lists them")
    return found


def list_imports(
    session: Session, *, page_id: int | None = None, before: int | None = None, limit: int = 50
) -> list[ContactImport]:
    """Imports, newest first: of one page or all, with ids below ``before``."""
    wanted = select(ContactImport).order_by(col(ContactImport.id).desc()).limit(limit)
    if page_id is not None:
        wanted = wanted.where(ContactImport.page_id == page_id)
    if before is not None:
        wanted = wanted.where(col(ContactImport.id) < before)
    return list(session.exec(wanted))


def map_columns(
    session: Session, import_id: int, *, said: Mapping[str, str], constants: Mapping[str, str] | None = None
) -> ContactImport:
    """Correct the mapping that the headers suggested: column → field, and field → value for all rows.

    What had been validated by another mapping is forgotten. Raises Invalid, naming the column or the field, and
    Conflict once the import is being applied.
    """
    found = _before_applying(session, import_id)
    mapping = corrected(found.headers, guess_mapping(found.headers), said)
    found.constants = check_constants(mapping, constants or {})
    found.mapping = mapping
    found.ignored = left_out(found.headers, said)
    _start_over(session, found, "uploaded")
    return found


def start_validation(session: Session, import_id: int, *, skip_cells: bool = False) -> ContactImport:
    """Have every row checked, from the first; workers do it (or whoever calls ``validate_next``).

    With ``skip_cells`` a bad cell of a column that a row can do without is left out instead of the row. Raises Invalid
    when no column tells who a row is about, or one seems to say who wants no messages and nobody said what it is.
    """
    found = _before_applying(session, import_id)
    check_person(found.mapping)
    ask_about(found.suspects, found.mapping, found.ignored)
    found.skip_cells = skip_cells
    _start_over(session, found, "validating")
    return found


def start_applying(
    session: Session, import_id: int, *, skip_errors: bool = False, actor: str, now: int
) -> ContactImport:
    """Have what was validated applied; with ``skip_errors`` the rows without errors, else all or none.

    Raises Conflict when it was not validated or has errors.
    """
    found = get_import(session, import_id, lock=True)
    if found.status == "applying":
        return found
    if found.status != "validated":
        raise Conflict(
            f"import {import_id} is {found.status}",
            field="import",
            way_out="only what was validated is applied, once; upload the file again to import it again"
            if found.status in ("applied", "discarded")
            else "validate it first",
        )
    if found.bad and not skip_errors:
        raise Conflict(
            f"{found.bad} of {found.row_count} rows have errors, so none is applied",
            field="import",
            way_out="correct the file and upload it again, or apply the good rows alone with skip_errors",
        )
    found.status = "applying"
    found.skip_errors = skip_errors
    session.add(found)
    record(
        session,
        actor=actor,
        action="contacts.import_apply",
        subject=f"import:{import_id}",
        detail={"rows": found.row_count, "skipped": found.bad, "mapping": found.mapping, "constants": found.constants},
        now=now,
    )
    session.flush()
    return found


def open_imports(session: Session) -> list[int]:
    """The ids of imports that are to be gone on with, those first that are being applied."""
    return list(session.connection().execute(_OPEN).scalars())


def set_failed(session: Session, import_id: int, *, now: int) -> None:
    """Put an import aside that something unexpected stopped; the log says what. Nothing committed is undone."""
    found = get_import(session, import_id, lock=True)
    if found.status not in ("validating", "applying"):
        return
    detail = {"while": found.status, "done": found.cursor}
    found.status = "failed"
    session.add(found)
    record(
        session, actor="worker", action="contacts.import_failed", subject=f"import:{import_id}", detail=detail, now=now
    )  # fmt: skip
    session.flush()


def resume(session: Session, import_id: int) -> ContactImport:
    """Go on with an import that something unexpected stopped, where it was. Any other is left as it is."""
    found = get_import(session, import_id, lock=True)
    if found.status == "failed":
        found.status = "validating" if found.validated_at is None else "applying"
        session.add(found)
        session.flush()
    return found


def discard(session: Session, import_id: int, *, actor: str, now: int) -> ContactImport:
    """Forget a file that was not applied, or failed; its errors stay. Raises Conflict once it is being applied."""
    found = get_import(session, import_id, lock=True)
    if found.status not in (*BEFORE_APPLYING, "failed"):
        raise Conflict(
            f"import {import_id} is {found.status}",
            field="import",
            way_out="what is being applied goes on to its end"
            if found.status == "applying"
            else "there is nothing left to discard",
        )
    found.status = "discarded"
    session.add(found)
    clear_staging(session, import_id)
    record(session, actor=actor, action="contacts.import_discard", subject=f"import:{import_id}", detail={}, now=now)
    session.flush()
    return found


def discard_forgotten(session: Session, now: int) -> int | None:
    """Discard one file that nobody applied for a week; its id, or None when there is none."""
    found = session.connection().execute(_FORGOTTEN, {"before": now - FORGOTTEN_AFTER}).scalar()
    if found is None:
        return None
    discard(session, found, actor="retention", now=now)
    return int(found)


def clear_staging(session: Session, import_id: int) -> None:
    """Delete what a file said about people. Its errors, which are masked, stay."""
    for statement in _CLEAR:
        session.connection().execute(statement, {"id": import_id})


def errors(session: Session, import_id: int, *, after: tuple[int, int] = (0, 0), limit: int = 1_000) -> list[RowError]:
    """What is wrong with the rows, in the order of the file, after the one with (n, id)."""
    n, last = after
    wanted = (
        select(RowError)
        .where(RowError.import_id == import_id, tuple_(col(RowError.n), col(RowError.id)) > (n, last))
        .order_by(col(RowError.n), col(RowError.id))
        .limit(limit)
    )
    return list(session.exec(wanted))


def error_kinds(session: Session, import_id: int, limit: int = 20) -> list[dict[str, object]]:
    """What is wrong most often, errors first: field, problem, severity, rows, first_line."""
    rows = session.connection().execute(_KINDS, {"id": import_id, "limit": limit})
    return [
        {
            "field": row.field or None,
            "problem": row.problem,
            "severity": row.severity,
            "rows": row.rows,
            "first_line": row.first_line,
        }
        for row in rows
    ]


def errors_csv(found: Sequence[RowError], *, header: bool) -> str:
    """Errors as CSV that opens inert, the header first where it is asked for."""
    rows = (
        [
            str(each.line),
            each.column_name or "",
            each.field or "",
            each.value or "",
            each.problem,
            each.allowed,
            each.severity,
        ]
        for each in found
    )
    return csv_text(chain([ERROR_COLUMNS] if header else [], rows))


def _before_applying(session: Session, import_id: int) -> ContactImport:
    found = get_import(session, import_id, lock=True)
    if found.status not in BEFORE_APPLYING:
        raise Conflict(
            f"import {import_id} is {found.status}", field="import", way_out="upload the file again to change it"
        )
    return found


def _start_over(session: Session, found: ContactImport, status: str) -> None:
    for statement in _CLEAR_CHECKED:
        session.connection().execute(statement, {"id": found.id})
    found.status = status
    found.checked = found.bad = 0
    found.validated_at = None
    session.add(found)
    session.flush()


def error_pages(session: Session, import_id: int) -> Iterator[str]:
    """The whole file of errors, page by page, in the caller's transaction."""
    found = errors(session, import_id)
    yield errors_csv(found, header=True)
    while found:
        found = errors(session, import_id, after=(found[-1].n, found[-1].id or 0))
        if found:
            yield errors_csv(found, header=False)
