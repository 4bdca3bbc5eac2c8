"""Erasing a person from the outbox: what waits is taken back, what went keeps its counts and loses the person.

A message on the wire settles as any other: its row, its attempt and their states stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

#: Every message of these contacts, each part by an index of its own.
MESSAGES_OF = """
    SELECT id FROM message WHERE contact_id = ANY(:ids) AND state IN ('scheduled', 'due')
    UNION SELECT id FROM message
        WHERE contact_id = ANY(:ids) AND state IN ('denied', 'expired', 'cancelled', 'refused')
    UNION SELECT m.id FROM attempt a JOIN message m ON m.id = a.message_id
        WHERE a.contact_id = ANY(:ids) AND m.contact_id = ANY(:ids)
"""
_CANCEL = text("""
    WITH unsent AS (
        SELECT id, state FROM message WHERE contact_id = ANY(:ids) AND state IN ('scheduled', 'due')
        ORDER BY id FOR NO KEY UPDATE
    ), gone AS (
        UPDATE message m SET state = 'cancelled', state_at = :now, reason = 'erased', due_at = NULL, wakes_on = NULL
        FROM unsent u WHERE m.id = u.id AND m.state = u.state RETURNING m.id, u.state
    )
    INSERT INTO message_log (message_id, at, from_state, to_state, reason, actor)
    SELECT id, :now, state, 'cancelled', 'erased', :actor FROM gone
""")
_BLANK = text(f"UPDATE message SET variables = '{{}}' WHERE id IN ({MESSAGES_OF}) AND variables <> '{{}}'")  # noqa: S608
_FACTS = text(f"""
    UPDATE message_log SET facts = NULL,
        reason = CASE WHEN reason LIKE 'early_delivery:%' THEN 'early_delivery' ELSE reason END
    WHERE message_id IN ({MESSAGES_OF}) AND (facts IS NOT NULL OR (:mids AND reason LIKE 'early_delivery:%'))
""")  # noqa: S608 - our own words
_ACTS = text(
    f"UPDATE dead_letter_act SET why = 'erased' WHERE message_id IN ({MESSAGES_OF}) AND why <> 'erased'"  # noqa: S608
)
_CONTENT = text("UPDATE attempt SET content = NULL WHERE contact_id = ANY(:ids) AND content IS NOT NULL")
_MIDS = (
    text(f"UPDATE message SET mid = NULL WHERE id IN ({MESSAGES_OF}) AND mid IS NOT NULL"),  # noqa: S608
    text("UPDATE attempt SET mid = NULL WHERE contact_id = ANY(:ids) AND mid IS NOT NULL"),
)
_COUNT = text(f"""
    SELECT count(*) AS messages, count(*) FILTER (WHERE state IN ('scheduled', 'due')) AS waiting
    FROM message WHERE id IN ({MESSAGES_OF})
""")  # noqa: S608 - our own words
_FLYING = text("""
    SELECT DISTINCT contact_id FROM attempt
    WHERE contact_id = ANY(:ids) AND outcome IN ('sending', 'in_doubt')
""")


def forget_messages(session: Session, contact_ids: Sequence[int], *, actor: str, now: int) -> dict[str, int]:
    """Take back what waits for these contacts and blank what tells of them in what went; how many of each.

    The caller holds their rows.
    """
    connection, values = session.connection(), {"ids": list(contact_ids)}
    counts = {"cancelled": connection.execute(_CANCEL, values | {"now": now, "actor": actor}).rowcount}
    counts["variables"] = connection.execute(_BLANK, values).rowcount
    connection.execute(text("SELECT set_config('duly.erasing', 'on', true)"))
    counts["facts"] = connection.execute(_FACTS, values | {"mids": False}).rowcount
    connection.execute(text("SELECT set_config('duly.erasing', 'off', true)"))
    counts["contents"] = connection.execute(_CONTENT, values).rowcount
    counts["notes"] = connection.execute(_ACTS, values).rowcount
    return counts


def forget_message_ids(session: Session, contact_ids: Sequence[int]) -> None:
    """Blank the platform's ids of what went to these contacts: evidence of it is not to be expected any more."""
    connection, values = session.connection(), {"ids": list(contact_ids)}
    connection.execute(text("SELECT set_config('duly.erasing', 'on', true)"))
    connection.execute(_FACTS, values | {"mids": True})
    connection.execute(text("SELECT set_config('duly.erasing', 'off', true)"))
    for statement in _MIDS:
        connection.execute(statement, values)


def count_messages(session: Session, contact_ids: Sequence[int]) -> dict[str, int]:
    """How many messages these contacts have, and how many of them wait."""
    row = session.connection().execute(_COUNT, {"ids": list(contact_ids)}).one()
    return {"messages": row.messages, "waiting": row.waiting}


def in_flight(session: Session, contact_ids: Sequence[int]) -> set[int]:
    """Those of these contacts to whom something is on the wire, or in doubt."""
    return set(session.connection().execute(_FLYING, {"ids": list(contact_ids)}).scalars())
