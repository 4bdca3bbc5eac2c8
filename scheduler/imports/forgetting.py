"""Erasing a person from files that are on their way in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

# Staging is emptied when an import ends, so it is looked through as a whole.
_GONE = (
    # By what was found when it was checked: a row may name them by their address or the shop's own id alone.
    text("""
        DELETE FROM contact_import_row r USING contact_import_person p, contact_import i
        WHERE i.page_id = :page_id AND p.import_id = i.id AND p.psid = ANY(CAST(:psids AS text[]))
            AND r.import_id = p.import_id AND r.n = p.n
    """),
    text("""
        DELETE FROM contact_import_person p USING contact_import i
        WHERE i.id = p.import_id AND i.page_id = :page_id AND p.psid = ANY(CAST(:psids AS text[]))
    """),
    text("""
        DELETE FROM contact_import_row r USING contact_import i
        WHERE i.id = r.import_id AND i.page_id = :page_id AND EXISTS (
            SELECT 1 FROM json_array_elements_text(r.cells) AS cell
            WHERE btrim(cell) = ANY(CAST(:psids AS text[])))
    """),
)


def forget_rows(session: Session, page_id: int, psids: Sequence[str]) -> int:
    """Delete the rows about these people from the staging of the page's imports; returns how many."""
    connection = session.connection()
    return sum(connection.execute(each, {"page_id": page_id, "psids": list(psids)}).rowcount for each in _GONE)
