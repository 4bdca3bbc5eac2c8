"""Takes back confirmations of opt-outs that no longer stand."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

_CALL_OFF = text("""
    WITH unsent AS (
        SELECT id, state FROM message
        WHERE contact_id = ANY(:ids) AND state IN ('scheduled', 'due') AND confirms_record_id IS NOT NULL
        ORDER BY id FOR NO KEY UPDATE
    ), cancelled AS (
        UPDATE message m SET state = 'cancelled', state_at = :now, reason = 'opted_in', due_at = NULL, wakes_on = NULL
        FROM unsent WHERE m.id = unsent.id RETURNING m.id, unsent.state AS was
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, was, 'cancelled', 'opted_in', :actor FROM cancelled
""")


def call_off(session: Session, contact_ids: Collection[int], *, actor: str | None, now: int) -> int:
    """Cancel what has not been sent of these contacts' confirmations; returns how many. What is on the wire stays.

    ``actor`` is the key of whoever brought them back; None: they did so themselves. The caller holds their rows.
    """
    if not contact_ids:
        return 0
    session.flush()
    values = {"ids": sorted(set(contact_ids)), "actor": actor or "webhook", "now": now}
    return int(session.connection().execute(_CALL_OFF, values).rowcount)
