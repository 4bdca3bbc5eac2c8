"""Erasing a person from the follow-ups: what they asked for and looked at, and what happened to them in the shop."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

_GONE = {
    "interests": text("DELETE FROM interest WHERE contact_id = ANY(:ids)"),
    "product_signals": text("DELETE FROM product_signal WHERE contact_id = ANY(:ids)"),
    # Messages point to them: the row stays, and tells of nobody.
    "business_events": text("""
        UPDATE business_event SET body = '{}', key = 'erased:' || id, contact_id = NULL, person_kind = NULL,
            person_key = NULL, planned_at = coalesce(planned_at, :now)
        WHERE contact_id = ANY(:ids)
    """),
}


def forget_follow_ups(session: Session, contact_ids: Sequence[int], now: int) -> dict[str, int]:
    """Delete or blank what the follow-ups know of these contacts; how many rows of each. The caller holds their rows.

    An event that is told again after that is a new one, about somebody whom the page does not know.
    """
    connection = session.connection()
    return {
        name: connection.execute(statement, {"ids": list(contact_ids), "now": now}).rowcount
        for name, statement in _GONE.items()
    }
