"""What is scheduled for many contacts already, in one query: the forecast that gaps and caps count. Reads only.

For whoever plans, previews or explains. A message that is about to begin is decided from what was begun alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from psycopg import Connection
from sqlmodel import Session

from policies.facts import Planned

# What is parked has no instant, and a paused campaign's messages will be parked when their time comes.
_STATEMENT = """
    SELECT contact_id, id, priority, greatest(due_at, %(now)s), category, ground, campaign_id, event_id
    FROM message m
    WHERE contact_id = ANY(CAST(%(ids)s AS bigint[])) AND state IN ('scheduled', 'due') AND due_at IS NOT NULL
    AND priority >= %(least)s
    AND NOT EXISTS (SELECT 1 FROM campaign c WHERE c.id = m.campaign_id AND c.status = 'paused')
"""


class Scheduled(NamedTuple):
    """A message that is scheduled, or due."""

    id: int
    priority: int
    planned: Planned


def scheduled_messages(
    session: Session, contact_ids: Collection[int], now: int, *, least: int
) -> dict[int, list[Scheduled]]:
    """Contact id → their messages with an instant, of priority ``least`` or higher; contacts without one are left out.

    One query whatever their number. What has been due since before ``now`` is planned for now.
    """
    if not contact_ids:
        return {}
    session.flush()
    driver: Connection[tuple[Any, ...]] = session.connection().connection.driver_connection  # type: ignore[assignment]  # the engine's driver is psycopg
    ids = f"{{{','.join(map(str, sorted(contact_ids)))}}}"
    found: defaultdict[int, list[Scheduled]] = defaultdict(list)
    with driver.cursor(binary=True) as cursor:
        cursor.execute(_STATEMENT, {"ids": ids, "now": now, "least": least})
        for contact_id, id_, priority, at, category, ground, campaign_id, event_id in cursor.fetchall():
            planned = Planned(at=at, category=category, ground=ground, owner=owner_of(campaign_id, event_id, id_))
            found[contact_id].append(Scheduled(id_, priority, planned))
    return found


def planned_before(scheduled: Iterable[Scheduled], priority: int, id_: int | None = None) -> tuple[Planned, ...]:
    """What a message of that priority gives way to, by time: what is higher, and what was planned before it.

    ``id_``: the message's own; None for one that is yet to be planned, which comes after all of its priority.
    """
    ahead = [
        each.planned
        for each in scheduled
        if each.priority > priority or (each.priority == priority and (id_ is None or each.id < id_))
    ]
    return in_order(ahead)


def above(scheduled: Iterable[Scheduled], priority: int) -> tuple[Planned, ...]:
    """What of theirs is more urgent than a message of that priority, by time."""
    return in_order([each.planned for each in scheduled if each.priority > priority])


def in_order(planned: Sequence[Planned]) -> tuple[Planned, ...]:
    """By time."""
    return tuple(sorted(planned, key=lambda each: each.at)) if len(planned) > 1 else tuple(planned)


def owner_of(campaign_id: int | None, event_id: int | None, message_id: int | None = None) -> str:
    """What a message belongs to, as findings and previews name it."""
    if campaign_id is not None:
        return f"campaign {campaign_id}"
    return f"event {event_id}" if event_id is not None else f"message {message_id}"
