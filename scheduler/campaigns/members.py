"""Who is in listed audiences, when two contacts turn out to be one person."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

# Only where nobody came to either of them yet: what was planned is the outbox's business.
_OPEN = """
    SELECT id FROM campaign WHERE status = 'draft' OR (
        status = 'planning' AND plan_cursor < least(CAST(:from AS bigint), :into) AND plan_until >= :into)
"""
_ADD = text(f"""
    INSERT INTO audience_member (campaign_id, contact_id)
    SELECT campaign_id, :into FROM audience_member WHERE contact_id = :from AND campaign_id IN ({_OPEN})
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - our own words
_REMOVE = text(f"DELETE FROM audience_member WHERE contact_id = :from AND campaign_id IN ({_OPEN})")  # noqa: S608

_FORGET = text("DELETE FROM audience_member WHERE contact_id = ANY(:ids)")


def replace_member(session: Session, from_id: int, into_id: int) -> None:
    """One contact stands for another in the audiences that are still to be planned. The caller holds both rows."""
    session.flush()
    for statement in (_ADD, _REMOVE):
        session.connection().execute(statement, {"from": from_id, "into": into_id})


def forget_members(session: Session, contact_ids: Sequence[int]) -> int:
    """Take these contacts out of every listed audience; returns out of how many. The caller holds their rows."""
    session.flush()
    gone = session.connection().execute(_FORGET, {"ids": list(contact_ids)})
    return gone.rowcount
