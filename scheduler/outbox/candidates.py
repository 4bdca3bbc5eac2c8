"""Which due messages a batch takes, and the locks that make them its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple, Protocol

from sqlmodel import Session

from scheduler.outbox.wake import HOLD_WAKES
from scheduler.store.driver import driver_of, rows

#: How many times over to look, so that a second batch that chooses at the same moment finds others behind the first's.
_LOOK_AHEAD = 4

#: No page has more than its depth among them, which is so many times its quota: the first ``limit`` times as many of
#: all pages are enough to fill a batch, and the rest is not carried here.
_CHOOSE = """
    SELECT DISTINCT ON (m.contact_id) m.id, m.contact_id, m.page_id, m.deadline
    FROM (
        SELECT m.* FROM unnest(%(pages)s::integer[], %(depths)s::integer[]) AS wanted (page_id, depth)
        CROSS JOIN LATERAL (
            SELECT id, contact_id, page_id, deadline FROM message due
            WHERE due.page_id = wanted.page_id AND due.lane = %(lane)s AND due.state = 'due'
            AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.contact_id = due.contact_id AND a.outcome = 'sending')
            ORDER BY due.deadline, due.id LIMIT wanted.depth
        ) m
        ORDER BY m.deadline, m.id LIMIT %(enough)s
    ) m
    ORDER BY m.contact_id, m.deadline, m.id
"""
_LOCK_CONTACTS = """
    SELECT id FROM contact WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_CANDIDATE = """
    SELECT m.id, m.contact_id, c.psid, m.page_id, m.template_id, m.campaign_id, m.event_id, m.lane, m.category, m.topic,
        nullif(m.variables, '{}'), m.not_before, m.expires_at, m.may_wait, m.deadline, m.attempts, m.reason,
        m.confirms_record_id, c.name, c.first_name, c.locale, nullif(c.attributes, '{}'), p.name, m.priority,
        m.confirms_record_id IS NULL AND EXISTS (
            SELECT 1 FROM message h WHERE h.contact_id = m.contact_id AND h.state = 'scheduled'
            AND h.due_at IS NOT NULL AND h.priority > m.priority)
    FROM message m JOIN contact c ON c.id = m.contact_id JOIN page p ON p.id = m.page_id
    WHERE m.state = 'due'
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.contact_id = m.contact_id AND a.outcome = 'sending')
"""
_LOCK_MESSAGES = f"{_CANDIDATE} AND m.id = ANY(%(ids)s) ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED"
#: A person's turn is their most urgent message's, whichever of theirs came up and in whichever lane: a lower one that
#: went first might use up a cap. One whose time has come and that no tick has made due yet is waited for.
_LOCK_FIRST = f"""
    WITH first AS MATERIALIZED (
        SELECT DISTINCT ON (contact_id) id FROM message
        WHERE contact_id = ANY(%(contacts)s) AND state IN ('scheduled', 'due') AND (state = 'due' OR due_at <= %(now)s)
        -- Of two states the first by its name is due.
        ORDER BY contact_id, priority DESC, state, deadline, id
    )
    {_CANDIDATE} AND m.id = ANY(ARRAY(SELECT id FROM first)) ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
"""  # noqa: S608 - our own words


class Chosen(NamedTuple):
    """A message that may be taken if its contact is free."""

    id: int
    contact_id: int
    page_id: int
    deadline: int | None


class ChosenLike(Protocol):
    """What locking needs to know of one."""

    @property
    def id(self) -> int: ...  # noqa: D102 - a protocol's members are described by the class
    @property
    def contact_id(self) -> int: ...  # noqa: D102


@dataclass(slots=True)
class Candidate:
    """A due message, locked together with its contact; with what content may say of the person and the page."""

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
    #: None: none, which is most of them.
    variables: dict[str, Any] | None
    not_before: int | None
    expires_at: int | None
    may_wait: bool
    deadline: int | None
    #: How often it was begun, and why it waited.
    attempts: int
    reason: str | None
    #: The opt-out that it does nothing but confirm.
    confirms_record_id: int | None
    name: str | None
    first_name: str | None
    locale: str | None
    attributes: dict[str, Any] | None
    page_name: str
    priority: int
    #: Something of theirs that is more urgent is planned for later; see ``giving_way.py``.
    comes_after: bool


def choose(session: Session, lane: str, quotas: Mapping[int, int], limit: int) -> list[Chosen]:
    """More due messages of ``lane`` than ``limit``, of these pages, the earliest deadline first; locks none of them.

    Holds wakes first (see ``hold_wakes``), in one round trip with the choice.
    """
    values = {
        "lane": lane,
        "pages": list(quotas),
        "depths": [quota * _LOOK_AHEAD for quota in quotas.values()],
        "enough": limit * _LOOK_AHEAD,
    }
    with driver_of(session) as driver, driver.cursor(binary=True) as cursor:
        with driver.pipeline():
            driver.execute(HOLD_WAKES)
            cursor.execute(_CHOOSE, values)
        found = [Chosen(*row) for row in cursor.fetchall()]
    found.sort(key=lambda row: (row.deadline is None, row.deadline, row.id))
    return found


def lock_candidates(
    session: Session, waiting: Sequence[Chosen], quotas: Mapping[int, int], limit: int, now: int
) -> list[Candidate]:
    """Up to ``limit`` messages of the people chosen, ``quotas[page id]`` a page, one a contact, in their order.

    Of each person it is the due message of the highest priority, in any lane, then of the earliest deadline.
    The contacts' rows are locked, then the messages' own. Contacts that somebody else holds, or that have an attempt in
    flight, are passed over. Nothing waits here.
    """
    left, room = dict(quotas), limit
    taken: list[Candidate] = []
    while waiting and room > 0:
        chosen, waiting = _next_round(waiting, left, room)
        if not chosen:
            break
        held = _lock_contacts(session, chosen)
        found = _candidates(session, _LOCK_FIRST, {"contacts": list(held), "now": now}) if held else []
        for candidate in found:
            left[candidate.page_id] -= 1
        room -= len(found)
        taken += found
    return taken


def _next_round(waiting: Sequence[Chosen], left: Mapping[int, int], room: int) -> tuple[list[Chosen], list[Chosen]]:
    """(those that fit into what is left of the quotas, the rest), both in the order given."""
    open_ = dict(left)
    chosen: list[Chosen] = []
    rest: list[Chosen] = []
    for row in waiting:
        if len(chosen) < room and open_.get(row.page_id, 0) > 0:
            open_[row.page_id] -= 1
            chosen.append(row)
        else:
            rest.append(row)
    return chosen, rest


def lock_chosen(session: Session, chosen: Sequence[ChosenLike]) -> list[Candidate]:
    """Lock the contacts of these, then the messages themselves; those that were free."""
    held = _lock_contacts(session, chosen)
    ids = [row.id for row in chosen if row.contact_id in held]
    return _candidates(session, _LOCK_MESSAGES, {"ids": ids}) if ids else []


def _lock_contacts(session: Session, chosen: Sequence[ChosenLike]) -> set[int]:
    return {id_ for (id_,) in rows(session, _LOCK_CONTACTS, {"ids": [row.contact_id for row in chosen]})}


def _candidates(session: Session, statement: LiteralString, values: Mapping[str, object]) -> list[Candidate]:
    return [Candidate(*row) for row in rows(session, statement, values)]


def rehearse_locks(session: Session) -> None:
    """Lock nobody, as ``choose`` and ``lock_candidates`` do it."""
    choose(session, "", {-1: 1}, 1)
    rows(session, _LOCK_CONTACTS, {"ids": [-1]})
    rows(session, _LOCK_FIRST, {"contacts": [-1], "now": 0})
