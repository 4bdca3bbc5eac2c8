"""Erasing a person from the inbox: the raw events that are theirs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlmodel import Session

#: Also what came before the page was registered: no page is noted with it, and psids are of one page.
_DELETE = text("""
    DELETE FROM platform_event
    WHERE psid = ANY(CAST(:psids AS text[])) AND (page_id = :page_id OR page_id IS NULL)
""")
#: What was not understood may name them all the same, somewhere. There is an index for what was not.
_DELETE_UNREADABLE = text("""
    DELETE FROM platform_event WHERE error IS NOT NULL AND psid IS NULL AND EXISTS (
        SELECT 1 FROM unnest(CAST(:psids AS text[])) AS given (psid)
        WHERE strpos(body::text, '"' || given.psid || '"') > 0
            OR (given.psid ~ '^[0-9]{10,}$' AND strpos(body::text, given.psid) > 0))
""")
#: That something came is kept, and when; not of whom, nor what.
_STRIP = text("""
    UPDATE platform_event SET psid = NULL, body = '{"erased": true}', dedupe_key = 'erased:' || id, error = NULL
    WHERE id = ANY(:ids)
""")


def forget_events(session: Session, page_id: int, psids: Sequence[str]) -> int:
    """Delete the raw events of these people; returns how many. A second copy of one that comes later is stripped."""
    connection, values = session.connection(), {"page_id": page_id, "psids": list(psids)}
    return sum(connection.execute(each, values).rowcount for each in (_DELETE, _DELETE_UNREADABLE))


def strip_events(session: Session, event_ids: Collection[int]) -> None:
    """Take the person out of raw events that came after they were erased."""
    if event_ids:
        session.connection().execute(_STRIP, {"ids": sorted(event_ids)})
