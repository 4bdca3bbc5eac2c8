"""Holds the log of messages against the table of arrows: what moved, moved along an arrow, and left its row."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.outbox.arrows import MACHINES, TABLE

#: At most so many faults of each kind are named.
LIMIT = 100

_FAULTS = text("""
    WITH allowed AS (
        SELECT * FROM unnest(CAST(:cames AS text[]), CAST(:tos AS text[]), CAST(:movers AS text[]))
            AS a (came, "to", mover)
    ), way AS (
        SELECT id, message_id, from_state, to_state, attempt_id,
            CASE WHEN actor = ANY(:machines) THEN actor ELSE 'person' END AS mover,
            lag(to_state) OVER w AS before, row_number() OVER w AS place,
            row_number() OVER (PARTITION BY message_id ORDER BY id DESC) AS from_end
        FROM message_log WINDOW w AS (PARTITION BY message_id ORDER BY id)
    ), found AS (
        SELECT message_id, 'no such arrow' AS kind, concat_ws(' → ', from_state, to_state) || ' by ' || mover AS what
        FROM way WHERE from_state IS DISTINCT FROM to_state AND NOT EXISTS (
            SELECT 1 FROM allowed a
            WHERE a.came IS NOT DISTINCT FROM way.from_state AND a."to" = way.to_state AND a.mover = way.mover)
        UNION ALL
        SELECT message_id, 'a row is missing', concat_ws(' → ', before, from_state)
        FROM way WHERE place > 1 AND from_state IS DISTINCT FROM before
        UNION ALL
        SELECT message_id, 'no beginning', from_state FROM way WHERE place = 1 AND from_state IS NOT NULL
        UNION ALL
        SELECT m.id, 'the log ends elsewhere', concat_ws(', the message is ', way.to_state, m.state)
        FROM message m LEFT JOIN way ON way.message_id = m.id AND way.from_end = 1
        WHERE way.to_state IS DISTINCT FROM m.state
        UNION ALL
        SELECT message_id, 'an arrow without its attempt', to_state FROM way
        WHERE (from_state IN ('sending', 'in_doubt') OR to_state = 'sending') AND attempt_id IS NULL
        UNION ALL
        SELECT id, 'sent without an attempt that was', state FROM message m
        WHERE state IN ('sent', 'delivered', 'read')
        AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.message_id = m.id AND a.outcome = 'sent')
    )
    SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY message_id) AS nth FROM found) counted
    WHERE nth <= :limit ORDER BY message_id, kind
""")


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something in the log that the arrows do not explain."""

    message_id: int
    kind: str
    what: str | None


def faults(session: Session) -> list[Fault]:
    """Everything in the whole log that is not an arrow of the table, or that left no row; empty when all is well.

    Reads every row: for tests, for the judge of a chaos run, for a person who wants to know.
    """
    taken = [(arrow.came, arrow.to, mover) for arrow in TABLE for mover in arrow.by]
    rows = session.execute(
        _FAULTS,
        {
            "cames": [came for came, _, _ in taken],
            "tos": [to for _, to, _ in taken],
            "movers": [mover for _, _, mover in taken],
            "machines": sorted(MACHINES),
            "limit": LIMIT,
        },
    )
    return [Fault(message_id=row.message_id, kind=row.kind, what=row.what) for row in rows]
