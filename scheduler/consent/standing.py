"""Reads what stands against messaging somebody."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

_IN_FORCE = text(
    """
    SELECT reason, topic, category, said_by, since FROM suppression WHERE contact_id = :id AND lifted_at IS NULL
    ORDER BY reason, topic NULLS FIRST, category NULLS FIRST, said_by
    """
)


def suppressions(session: Session, contact_id: int) -> list[dict[str, object]]:
    """Every suppression in force for a contact: reason, topic and category (both None: everything), since (epoch
    seconds), and whose word it is: ``person``, ``platform`` or ``operator``."""
    return [dict(row) for row in session.connection().execute(_IN_FORCE, {"id": contact_id}).mappings()]
