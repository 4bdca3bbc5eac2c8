"""Raw events that could not be applied, for the person who has to look."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

_FAILED = text(
    """
    SELECT id, kind, error, received_at FROM platform_event
    WHERE error IS NOT NULL AND page_id = :page_id AND psid = :psid
      AND received_at >= coalesce(CAST(:since AS bigint), 0)
    ORDER BY id DESC LIMIT 20
    """
)

_LISTED = text(
    """
    SELECT e.id, p.external_id AS page, e.kind, e.psid, e.error, e.received_at
    FROM platform_event e LEFT JOIN page p ON p.id = e.page_id
    WHERE e.error IS NOT NULL AND e.id < :before AND (CAST(:page_id AS int) IS NULL OR e.page_id = :page_id)
    ORDER BY e.id DESC LIMIT :limit
    """
)
_NEWEST = 2**63 - 1


def failed_events(session: Session, page_id: int, psid: str, *, since: int | None = None) -> list[dict[str, object]]:
    """The newest events of a contact that could not be applied: id, kind, error, received_at (epoch seconds)."""
    rows = session.connection().execute(_FAILED, {"page_id": page_id, "psid": psid, "since": since})
    return [{"id": row.id, "kind": row.kind, "error": row.error, "received_at": row.received_at} for row in rows]


def list_failed_events(
    session: Session, *, page_id: int | None = None, before: int | None = None, limit: int
) -> list[dict[str, object]]:
    """Events that could not be applied, of a page or of all, newest first; with smaller ids than ``before``.

    Each has id, page (the platform's id, or None), kind, psid, error and received_at (epoch seconds).
    """
    values = {"page_id": page_id, "before": _NEWEST if before is None else before, "limit": limit}
    return [dict(row) for row in session.connection().execute(_LISTED, values).mappings()]
