"""Which due messages a batch takes, and the locks that make them its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

#: How many times over to look, so that a second batch that chooses at the same moment finds others behind the first's.
_LOOK_AHEAD = 4

#: No page has more than its depth among them, which is so many times its quota: the first ``limit`` times as many of
#: all pages are enough to fill a batch, and the rest is not carried here.
_CHOOSE = text("""
    SELECT DISTINCT ON (m.contact_id) m.id, m.contact_id, m.page_id, m.deadline
    FROM (
        SELECT m.* FROM unnest(CAST(:pages AS integer[]), CAST(:depths AS integer[])) AS wanted (page_id, depth)
        CROSS JOIN LATERAL (
            SELECT id, contact_id, page_id, deadline FROM message due
            WHERE due.page_id = wanted.page_id AND due.lane = :lane AND due.state = 'due'
            AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.contact_id = due.contact_id AND a.outcome = 'sending')
            ORDER BY due.deadline, due.id LIMIT wanted.depth
        ) m
        ORDER BY m.deadline, m.id LIMIT :enough
    ) m
    ORDER BY m.contact_id, m.deadline, m.id
""")
_LOCK_CONTACTS = text("""
    SELECT id FROM contact WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")
_LOCK_MESSAGES = text("""
    SELECT m.id, m.contact_id, c.psid, m.page_id, m.template_id, m.campaign_id, m.event_id, m.lane, m.category, m.topic,
        m.variables, m.not_before, m.expires_at, m.deadline, m.attempts, m.reason
    FROM message m JOIN contact c ON c.id = m.contact_id
    WHERE m.id = ANY(:ids) AND m.state = 'due'
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.contact_id = m.contact_id AND a.outcome = 'sending')
    ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
""")


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A due message, locked together with its contact."""

    id: int
    contact_id: int
    psid: str
    page_id: int
    template_id: int
    campaign_id: int | None
    event_id: int | None
    lane: str
    category: str
    topic: str | None
    variables: dict[str, Any]
    not_before: int | None
    expires_at: int | None
    deadline: int | None
    #: How often it was begun, and why it waited.
    attempts: int
    reason: str | None


def lock_candidates(session: Session, lane: str, quotas: Mapping[int, int], limit: int) -> list[Candidate]:
    """Up to ``limit`` due messages of ``lane``, ``quotas[page id]`` a page, one a contact, the earliest deadline first.

    Their contacts' rows are locked, then their own. Contacts that somebody else holds, or that have an attempt in
    flight, are passed over. Nothing waits here.
    """
    rows = (
        session.connection()
        .execute(
            _CHOOSE,
            {
                "lane": lane,
                "pages": list(quotas),
                "depths": [quota * _LOOK_AHEAD for quota in quotas.values()],
                "enough": limit * _LOOK_AHEAD,
            },
        )
        .all()
    )
    waiting = sorted(rows, key=lambda row: (row.deadline is None, row.deadline, row.id))
    left, room = dict(quotas), limit
    taken: list[Candidate] = []
    while waiting and room > 0:
        chosen, waiting = _next_round(waiting, left, room)
        if not chosen:
            break
        found = lock_chosen(session, chosen)
        for candidate in found:
            left[candidate.page_id] -= 1
        room -= len(found)
        taken += found
    return taken


def _next_round(rows: Sequence[Any], left: Mapping[int, int], room: int) -> tuple[list[Any], list[Any]]:
    """(those that fit into what is left of the quotas, the rest), both in the order given."""
    open_ = dict(left)
    chosen: list[Any] = []
    rest: list[Any] = []
    for row in rows:
        if len(chosen) < room and open_[row.page_id] > 0:
            open_[row.page_id] -= 1
            chosen.append(row)
        else:
            rest.append(row)
    return chosen, rest


def lock_chosen(session: Session, chosen: Sequence[Any]) -> list[Candidate]:
    """Lock the contacts of these (``id``, ``contact_id``), then the messages themselves; those that were free."""
    held = set(session.connection().execute(_LOCK_CONTACTS, {"ids": [row.contact_id for row in chosen]}).scalars())
    ids = [row.id for row in chosen if row.contact_id in held]
    if not ids:
        return []
    rows = session.connection().execute(_LOCK_MESSAGES, {"ids": ids}).mappings()
    return [Candidate(**row) for row in rows]
