"""Brings what marks tell of and the database does not know into it, for somebody to settle. Repeating it is harmless.

Whoever keeps marks hands them in: each data folder its own, so that workers on several machines need share none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.lineage.behind import relevant
from scheduler.lineage.identity import Identity, closed_generations
from scheduler.store import journal

_CHUNK = 5_000

_ATTEMPTS = text("""
    INSERT INTO restored_attempt AS r (attempt, message, contact, page, template, campaign, event, category, lane,
        topic, ground, token, begun_at)
    SELECT g.attempt, g.message, g.contact, g.page, g.template, g.campaign, g.event, g.category, g.lane, g.topic,
        g.ground, g.token, g.begun_at
    FROM json_to_recordset(CAST(:rows AS json)) AS g (attempt bigint, message bigint, contact bigint, page int,
        template bigint, campaign bigint, event bigint, category text, lane text, topic text, ground text, token bigint,
        begun_at bigint)
    WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = g.attempt AND a.message_id = g.message)
    ON CONFLICT (attempt, message) DO UPDATE SET contact = excluded.contact, page = excluded.page,
        template = excluded.template, campaign = excluded.campaign, event = excluded.event,
        category = excluded.category, lane = excluded.lane, topic = excluded.topic, ground = excluded.ground,
        token = excluded.token, begun_at = excluded.begun_at
    WHERE r.begun_at IS NULL
""")
#: An echo may have told more than the answer did.
_ENDED = text("""
    UPDATE restored_attempt r SET result = g.result, mid = coalesce(g.mid, r.mid)
    FROM json_to_recordset(CAST(:rows AS json)) AS g (attempt bigint, message bigint, result text, mid text)
    WHERE r.attempt = g.attempt AND r.message = g.message AND r.result IS DISTINCT FROM 'sent' AND r.became IS NULL
""")
_CHOICES = text("""
    INSERT INTO restored_choice (page, person, action, source, topic, category, said_at)
    SELECT g.page, decode(g.person, 'hex'), g.action, g.source, g.topic, g.category, g.said_at
    FROM json_to_recordset(CAST(:rows AS json)) AS g (page int, person text, action text, source text, topic text,
        category text, said_at bigint)
    WHERE NOT EXISTS (
        SELECT 1 FROM restored_choice c WHERE c.page = g.page AND c.person = decode(g.person, 'hex')
        AND c.action = g.action AND c.topic IS NOT DISTINCT FROM g.topic
        AND c.category IS NOT DISTINCT FROM g.category AND c.said_at = g.said_at)
""")
_ACTS = text("""
    INSERT INTO restored_act (at, actor, action, about)
    SELECT g.at, g.actor, g.action, g.about
    FROM json_to_recordset(CAST(:rows AS json)) AS g (at bigint, actor text, action text, about text)
    WHERE NOT EXISTS (SELECT 1 FROM audit_entry e WHERE e.at = g.at AND e.actor = g.actor AND e.action = g.action
        AND e.subject = g.about)
    AND NOT EXISTS (SELECT 1 FROM restored_act r WHERE r.at = g.at AND r.actor = g.actor AND r.action = g.action
        AND r.about = g.about)
""")
_SEEN = text("""
    INSERT INTO mark_site (site, host, seen_at, handed_in_at) VALUES (:site, :host, :now, :handed_in_at)
    ON CONFLICT (site) DO UPDATE SET host = excluded.host, seen_at = greatest(mark_site.seen_at, excluded.seen_at),
        handed_in_at = coalesce(excluded.handed_in_at, mark_site.handed_in_at)
""")
#: What is numbered anew must not get a number that was given away: an echo, or a mark, would be taken for it.
_RAISE = text("""
    SELECT setval(pg_get_serial_sequence(CAST(:table AS text), 'id'), CAST(:least AS bigint))
    WHERE CAST(:least AS bigint) > (
        SELECT coalesce(last_value, 0) FROM pg_sequences
        WHERE schemaname || '.' || sequencename = pg_get_serial_sequence(CAST(:table AS text), 'id'))
    OR NOT EXISTS (SELECT 1 FROM pg_sequences WHERE last_value IS NOT NULL
        AND schemaname || '.' || sequencename = pg_get_serial_sequence(CAST(:table AS text), 'id'))
""")
_COLUMNS = (
    "attempt", "message", "contact", "page", "template", "campaign", "event", "category", "lane", "topic", "ground",
    "token",
)  # fmt: skip
_ENDS = ("attempt", "message", "result", "mid")
_CHOSEN = ("page", "person", "action", "source", "topic", "category", "said_at")
_DONE = ("actor", "action", "about", "at")
#: Columns of an attempt whose numbers are given by a table of that name.
_NUMBERED = {"attempt": "attempt", "message": "message", "contact": "contact", "campaign": "campaign",
             "event": "business_event"}  # fmt: skip
_STATEMENTS = {"begun": _ATTEMPTS, "ended": _ENDED, "chosen": _CHOICES, "acts": _ACTS}
_ROWS = {"begun": _COLUMNS, "ended": _ENDS, "chosen": _CHOSEN, "acts": _DONE}


def see(session: Session, site: str, host: str, now: int, *, handed_in: bool = False) -> None:
    """Note that marks are kept at ``site``, or that they were handed in."""
    values = {"site": site, "host": host, "now": now, "handed_in_at": now if handed_in else None}
    session.connection().execute(_SEEN, values)


def hand_in(session: Session, known: Identity, folder: Path, host: str, now: int) -> int:
    """Hand in all marks of ``folder`` that are of this database and that it does not know; returns how many attempts.

    The numbers that they name are not given away again.
    """
    closed = closed_generations(session)
    highest: dict[str, int] = {}
    count = 0
    # First what was begun: how it ended may stand in the file of another process.
    for wanted in ("begun", "ended", "chosen", "acts"):
        for rows in _chunks(known, folder, closed, wanted):
            if wanted == "begun":
                for column, table in _NUMBERED.items():
                    highest[table] = max([highest.get(table, 0), *(row[column] or 0 for row in rows)])
            done = session.connection().execute(_STATEMENTS[wanted], {"rows": json.dumps(rows)})
            count += done.rowcount if wanted == "begun" else 0
    for table, least in sorted(highest.items()):
        if least:
            session.connection().execute(_RAISE, {"table": table, "least": least})
    see(session, journal.site_of(folder), host, now, handed_in=True)
    return count


def _chunks(known: Identity, folder: Path, closed: set[str], wanted: str) -> Iterator[list[dict[str, Any]]]:
    chunk: dict[tuple[Any, ...], dict[str, Any]] = {}
    for head, kind, rows, at in journal.read(folder):
        if kind != wanted or not relevant(head, known.head, closed):
            continue
        for row in rows:
            named = {"begun_at": at} | dict(zip(_ROWS[wanted], row, strict=False))
            # One of a kind: a statement cannot change a row twice.
            key = tuple(row[:2]) if wanted in ("begun", "ended") else tuple(row)
            chunk[key] = named
        if len(chunk) >= _CHUNK:
            yield list(chunk.values())
            chunk.clear()
    if chunk:
        yield list(chunk.values())
