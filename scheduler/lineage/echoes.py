"""Evidence that comes while the database is held, of attempts that it does not know."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

_TOLD = text("""
    UPDATE restored_attempt r SET result = 'sent', mid = coalesce(r.mid, g.mid)
    FROM unnest(CAST(:attempts AS bigint[]), CAST(:messages AS bigint[]), CAST(:mids AS text[]))
        AS g (attempt, message, mid)
    WHERE r.attempt = g.attempt AND r.message = g.message AND r.became IS NULL
""")


def echoed(session: Session, echoes: Sequence[tuple[int, int, str]]) -> int:
    """The platform echoed these (attempt, message, the platform's id): they were sent. Returns how many were wanted."""
    if not echoes:
        return 0
    attempts, messages, mids = (list(column) for column in zip(*echoes, strict=True))
    values = {"attempts": attempts, "messages": messages, "mids": mids}
    return int(session.connection().execute(_TOLD, values).rowcount)
