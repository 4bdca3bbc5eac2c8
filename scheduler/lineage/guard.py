"""Looks whether this database may send, holds it where it may not, and hands in what the marks here tell of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import text
from sqlmodel import Session

from scheduler.lineage.behind import Mark, marks_in, marks_in_redis, why_hold
from scheduler.lineage.handing_in import hand_in, see
from scheduler.lineage.identity import Identity, claim, hold
from scheduler.store.journal import pruned_until, site_of

#: The folder of marks within the data folder.
FOLDER = "marks"

_LOST = text("""
    SELECT count(*) FROM unnest(CAST(:attempts AS bigint[]), CAST(:messages AS bigint[])) AS g (attempt, message)
    WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = g.attempt AND a.message_id = g.message)
    AND NOT EXISTS (SELECT 1 FROM restored_attempt r WHERE r.attempt = g.attempt AND r.message = g.message)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look found."""

    known: Identity
    #: This look held it; attempts that were handed in.
    newly: bool = False
    handed_in: int = 0


def look(session: Session, folder: Path, client: redis.Redis | None, host: str, now: int) -> Seen:
    """Hold the database where the marks in ``folder`` or in Redis know more, or it is not where it was.

    A held database gets what the marks here tell of. The caller commits. Raises OSError where the folder cannot be
    used, RedisError where Redis does not answer.
    """
    known = claim(session, now)
    site = site_of(folder)
    newly = False
    if known.held_at is None:
        marks = marks_in(folder) + (marks_in_redis(client, known.head.lineage) if client is not None else [])
        why = why_hold(session, known, marks, now)
        if why is None:
            see(session, site, host, now)
            return Seen(known=known)
        newly = hold(session, why, now)
        known = claim(session, now)
    return Seen(known=known, newly=newly, handed_in=hand_in(session, known, folder, host, now))


def gaps(
    session: Session, known: Identity, folder: Path, client: redis.Redis | None, knows_until: int | None
) -> list[str]:
    """Why the marks here may not be whole, in words."""
    found = []
    if knows_until is not None and pruned_until(folder) > knows_until:
        found.append("marks that are younger than the dump were deleted for their age")
    if client is not None:
        try:
            lost = _lost(session, marks_in_redis(client, known.head.lineage))
        except redis.RedisError:
            lost = 0
        if lost:
            found.append(f"Redis knows of {lost} attempts that no marks here tell of")
    return found


def _lost(session: Session, marks: list[Mark]) -> int:
    """How many of these attempts neither the database knows nor anybody handed in."""
    named = [(attempt, message) for mark in marks for attempt, message in mark.begun.items()]
    if not named:
        return 0
    attempts, messages = (list(column) for column in zip(*named, strict=True))
    values = {"attempts": attempts, "messages": messages}
    return int(session.connection().execute(_LOST, values).scalar_one())
