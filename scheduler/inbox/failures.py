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


def failed_events(session: Session, page_id: int, psid: str, *, since: int | None = None) -> list[dict[str, object]]:
    """The newest events of a contact that could not be applied: id, kind, error, received_at (epoch seconds)."""
    rows = session.connection().execute(_FAILED, {"page_id": page_id, "psid": psid, "since": since})
    return [{"id": row.id, "kind": row.kind, "error": row.error, "received_at": row.received_at} for row in rows]
