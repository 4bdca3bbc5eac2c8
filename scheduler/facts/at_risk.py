"""Which messages will run out of time before their page's rate gets to them, and when. Reads only.

The queue is played ahead as dispatch works it off: earliest deadline first within a lane, utility before promotional, a
fifth of the rate for each while both want it. Messages are taken together by page, lane and, to the step, by the
instants at which they are due and over: one query, and a play of steps instead of messages.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

#: Steps of a play: five minutes of a day. Messages begin a step and end one, so that the play is out by one at most.
STEPS = 288
#: What each lane keeps while both want it.
_SHARE = 0.2
#: A rate that nobody needs: where even this is not enough, time is too short for any.
_MOST = 100_000.0
#: The step at which a message without an end is over.
_NEVER = 1 << 60

_WAITING = text("""
    SELECT page_id, lane, greatest(coalesce(due_at, 0), :now) - (greatest(coalesce(due_at, 0), :now) - :now) % :step
            AS due,
        (least(deadline, expires_at) - :now + :step - 1) / :step AS over,
        count(*) AS n, min(least(deadline, expires_at)) AS first, max(least(deadline, expires_at)) AS last
    FROM message WHERE state = 'due' OR (state = 'scheduled' AND due_at IS NOT NULL AND due_at < :until)
    GROUP BY 1, 2, 3, 4
""")
_PARKED = text("""
    SELECT page_id, lane, coalesce(reason, '') AS reason, count(*) AS n, min(least(deadline, expires_at)) AS first,
        max(least(deadline, expires_at)) AS last
    FROM message WHERE state = 'scheduled' AND due_at IS NULL AND least(deadline, expires_at) < :until
    GROUP BY 1, 2, 3 ORDER BY n DESC
""")


@dataclass(slots=True, kw_only=True)
class LaneRisk:
    """What a page's lane has to do within the horizon, and what of it will not be done in time."""

    waiting: int = 0
    at_risk: int = 0
    #: When the first and the last of them run out, epoch seconds.
    first_at: int | None = None
    last_at: int | None = None

    def lose(self, count: int, first: int, last: int) -> None:
        """So many run out between these instants."""
        self.at_risk += count
        self.first_at = first if self.first_at is None else min(self.first_at, first)
        self.last_at = last if self.last_at is None else max(self.last_at, last)


@dataclass(slots=True, kw_only=True)
class PageRisk:
    """A page's lanes, and the rate at which nothing would run out."""

    lanes: dict[str, LaneRisk] = field(default_factory=dict)
    #: Messages a second of Duly's clock that would do; None: nothing is at risk, or no rate would do.
    needed: float | None = None


@dataclass(slots=True, kw_only=True)
class HeldRisk:
    """Parked messages that run out within the horizon unless what holds them ends."""

    page_id: int
    lane: str
    reason: str
    count: int
    first_at: int
    last_at: int


@dataclass(slots=True)
class _Batch:
    """Messages that are taken together. Steps count from now."""

    lane: str
    due: int
    over: int
    count: float
    #: When the first and the last of them are over, epoch seconds.
    first: int = 0
    last: int = 0


def at_risk(
    session: Session, rates: dict[int, float], now: int, horizon: int
) -> tuple[dict[int, PageRisk], list[HeldRisk]]:
    """(page id → its risks, what is parked and runs out) over ``horizon`` seconds from ``now``.

    ``rates``: messages that each page gets through in a second of Duly's clock; 0 for one that does not send.
    """
    step = max(1, horizon // STEPS)
    values = {"now": now, "until": now + horizon, "step": step}
    batches: dict[int, list[_Batch]] = {}
    for row in session.connection().execute(_WAITING, values):
        # Without an end it can wait for ever.
        over = _NEVER if row.over is None else max(0, row.over)
        batch = _Batch(row.lane, (row.due - now) // step, over, row.n, row.first or 0, row.last or 0)
        batches.setdefault(row.page_id, []).append(batch)
    found = {
        page_id: _page(waiting, rates.get(page_id, 0.0) * step, step) for page_id, waiting in sorted(batches.items())
    }
    parked = [
        HeldRisk(
            page_id=row.page_id, lane=row.lane, reason=row.reason, count=row.n, first_at=row.first, last_at=row.last
        )
        for row in session.connection().execute(_PARKED, {"until": now + horizon})
    ]
    return found, parked


def _page(waiting: Sequence[_Batch], capacity: float, step: int) -> PageRisk:
    risk = PageRisk()
    for batch in waiting:
        risk.lanes.setdefault(batch.lane, LaneRisk()).waiting += int(batch.count)
    lost = _play(waiting, capacity)
    for batch, count in lost:
        # Fractions are of the play, not of messages: what is not whole by rounding got through.
        if round(count):
            risk.lanes[batch.lane].lose(round(count), batch.first, batch.last)
    if any(each.at_risk for each in risk.lanes.values()):
        risk.needed = _needed(waiting, capacity, step)
    return risk


def _needed(waiting: Sequence[_Batch], capacity: float, step: int) -> float | None:
    low, high = capacity, _MOST * step
    if _misses(_play(waiting, high)):
        return None
    while high - low > max(0.01 * step, low * 0.01):
        middle = (low + high) / 2
        low, high = (middle, high) if _misses(_play(waiting, middle)) else (low, middle)
    return high / step


def _misses(lost: Iterable[tuple[_Batch, float]]) -> bool:
    return any(round(count) for _, count in lost)


def _play(waiting: Sequence[_Batch], capacity: float) -> list[tuple[_Batch, float]]:
    """Work the batches off at ``capacity`` messages a step; the batches that ran out, each with how many of it did.

    Steps at which nothing happens are jumped over: what is to do is known until the next batch is due or over.
    """
    coming = sorted(waiting, key=lambda batch: batch.due)
    queues: dict[str, list[list[Any]]] = {"utility": [], "promotional": []}
    lost: list[tuple[_Batch, float]] = []
    place, now = 0, 0
    while place < len(coming) or any(queues.values()):
        if not any(queues.values()):
            now = max(now, coming[place].due)
        while place < len(coming) and coming[place].due <= now:
            batch = coming[place]
            heapq.heappush(queues[batch.lane], [batch.over, place, batch.count])
            place += 1
        for queue in queues.values():
            while queue and queue[0][0] <= now:
                _, which, count = heapq.heappop(queue)
                lost.append((coming[which], count))
        following = [coming[place].due] if place < len(coming) else []
        following += [queue[0][0] for queue in queues.values() if queue]
        if not following:
            break
        ahead = max(1, min(following) - now)
        _work(queues, capacity * ahead)
        now += ahead
        if capacity <= 0 and place == len(coming):
            # Nothing more will be done: everything left runs out in its turn.
            lost += [(coming[which], count) for queue in queues.values() for _, which, count in queue]
            break
    return [each for each in lost if each[0].over != _NEVER]


def _work(queues: dict[str, list[list[Any]]], room: float) -> None:
    wanted = {lane: sum(count for _, _, count in queue) for lane, queue in queues.items()}
    first = min(wanted["utility"], max(room * (1 - _SHARE), room - wanted["promotional"]))
    for lane, share in (("utility", first), ("promotional", min(wanted["promotional"], room - first))):
        queue = queues[lane]
        while share > 1e-9 and queue:
            taken = min(share, queue[0][2])
            queue[0][2] -= taken
            share -= taken
            if queue[0][2] <= 1e-9:
                heapq.heappop(queue)
