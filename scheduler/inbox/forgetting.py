"""Erasing a person from the inbox: the raw events that are theirs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlmodel import Session

_DELETE = text("DELETE FROM platform_event WHERE page_id = :page_id AND psid = ANY(CAST(:psids AS text[]))")
#: That something came is kept, and when; not of whom, nor what.
_STRIP = text("""
    UPDATE platform_event SET psid = NULL, body = '{"erased": true}', dedupe_key = 'erased:' || id, error = NULL
    WHERE id = ANY(:ids)
""")


def forget_events(session: Session, page_id: int, psids: Sequence[str]) -> int:
    """Delete the raw events of these people; returns how many. A second copy of one that comes later is stripped."""
    return session.connection().execute(_DELETE, {"page_id": page_id, "psids": list(psids)}).rowcount


def strip_events(session: Session, event_ids: Collection[int]) -> None:
    """Take the person out of raw events that came after they were erased."""
    if event_ids:
        session.connection().execute(_STRIP, {"ids": sorted(event_ids)})
