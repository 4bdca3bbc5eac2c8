"""Whether the database knows less than the marks outside it: then it went back in time, and nothing may be sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import text
from sqlmodel import Session

from scheduler.lineage.identity import Identity, closed_generations, home_of
from scheduler.store.journal import Head, last_marks

#: Seconds on Duly's clock after which a mark is not held against the database: retention may have deleted it.
_FORGOTTEN_AFTER = 55 * 86_400
#: The key of the marks in Redis that stands for a lineage, and the real seconds for which they are kept there.
_KEY = "duly:marks:"
_KEPT = 14 * 86_400

#: Tables whose every row is an act or a choice.
_NUMBERED = ("consent_record", "audit_entry")
_GIVEN = text("""
    SELECT t.name, s.last_value FROM unnest(CAST(:tables AS text[])) AS t (name)
    JOIN pg_sequences s ON s.schemaname || '.' || s.sequencename = pg_get_serial_sequence(t.name, 'id')
""")
_ELDEST = text("SELECT created_at FROM message ORDER BY id LIMIT 1")
_MISSING = text("""
    SELECT count(*) AS missing, min(given.at) AS since
    FROM unnest(CAST(:attempts AS bigint[]), CAST(:messages AS bigint[]), CAST(:moments AS bigint[]))
        AS given (attempt, message, at)
    WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = given.attempt AND a.message_id = given.message)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The last attempts of one process."""

    head: Head
    begun: Mapping[int, int]
    at: int
    #: Table → the highest number that it had given away.
    least: Mapping[str, int] = field(default_factory=dict)


def relevant(head: Head, ours: Head, closed: set[str]) -> bool:
    """Whether marks are of the database ``ours``: by its lineage, or of what was in its very place before."""
    return head.generation not in closed and (head.lineage == ours.lineage or head.home == ours.home)


def marks_in(folder: Path) -> list[Mark]:
    """The last marks of each process that kept them in ``folder``."""
    return [Mark(head=each.head, begun=each.begun, at=each.at, least=each.least) for each in last_marks(folder)]


def keep_in_redis(client: redis.Redis, name: str, mark: Mark) -> None:
    """Keep a process' last mark in Redis too, for a volume may be lost. Raises RedisError."""
    value = json.dumps([mark.head.lineage, mark.head.generation, mark.head.home, mark.at, list(mark.begun.items())[-1]])
    with client.pipeline(transaction=False) as pipeline:
        pipeline.hset(_KEY + mark.head.lineage, name, value)
        pipeline.expire(_KEY + mark.head.lineage, _KEPT)
        pipeline.execute()


def marks_in_redis(client: redis.Redis, lineage: str) -> list[Mark]:
    """The last marks that Redis has of a lineage. Raises RedisError."""
    found = []
    for value in client.hgetall(_KEY + lineage).values():
        line, generation, home, at, (attempt, message) = json.loads(value)
        found.append(Mark(head=Head(lineage=line, generation=generation, home=home), begun={attempt: message}, at=at))
    return found


def numbers_given(session: Session) -> dict[str, int]:
    """Table → the highest number that it has given away, of those by which marks of choices and acts are held.

    Numbers are never given twice and never taken back, also by who rolls back or by a crash: only a restore does.
    """
    found = dict.fromkeys(_NUMBERED, 0)
    for row in session.connection().execute(_GIVEN, {"tables": list(_NUMBERED)}):
        found[row.name] = int(row.last_value or 0)
    return found


def why_hold(session: Session, known: Identity, marks: Iterable[Mark], now: int) -> str | None:
    """Why this database must be held, in words; None: it knows whatever the marks tell of, and is where it was."""
    closed = closed_generations(session)
    ours = [mark for mark in marks if relevant(mark.head, known.head, closed) and mark.at > now - _FORGOTTEN_AFTER]
    if any(mark.head.lineage != known.head.lineage for mark in ours):
        # Of what was in this very place before. One that was emptied and filled anew has nothing that is older.
        eldest = session.connection().execute(_ELDEST).scalar_one_or_none()
        ours = [
            mark
            for mark in ours
            if mark.head.lineage == known.head.lineage or (eldest is not None and eldest <= mark.at)
        ]
    named = [(attempt, message, mark.at) for mark in ours for attempt, message in mark.begun.items()]
    if named:
        attempts, messages, moments = (list(column) for column in zip(*named, strict=True))
        values = {"attempts": attempts, "messages": messages, "moments": moments}
        if session.connection().execute(_MISSING, values).one().missing:
            return "the database is behind its marks: attempts were begun that it does not know"
    given = numbers_given(session)
    if any(number > given.get(table, number) for mark in ours for table, number in mark.least.items()):
        return "the database is behind its marks: people chose or did something that it does not know"
    if known.head.home != home_of(session):
        return "the database was copied or restored to another place: what the first one sent since is not known here"
    return None
