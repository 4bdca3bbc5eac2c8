"""Reads what stands against messaging somebody."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

_IN_FORCE = text(
    """
    SELECT reason, topic, since FROM suppression WHERE contact_id = :id AND lifted_at IS NULL
    ORDER BY reason, topic NULLS FIRST
    """
)


def suppressions(session: Session, contact_id: int) -> list[dict[str, object]]:
    """Every suppression in force for a contact: reason, topic (None: everything), since (epoch seconds)."""
    rows = session.connection().execute(_IN_FORCE, {"id": contact_id})
    return [{"reason": row.reason, "topic": row.topic, "since": row.since} for row in rows]
