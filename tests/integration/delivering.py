"""Deliver, and again where the machine was too busy: how fast that goes is measured elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from scheduler import clock
from scheduler.outbox.tick import tick
from scheduler.store import database
from workers.deliver import Channel, Delivery

_GIVEN_BACK = text(
    "SELECT count(*) FROM message WHERE state = 'scheduled' AND reason IN ('decision_too_old', 'rate_spent')"
)


def deliver_once(
    channel: Channel,
    lane: str = "promotional",
    *,
    seconds: float = 15.0,
    idle: float = 0.4,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """One task's deliveries of a lane; how many were sent."""
    return Delivery(lane, channel, stopping=stopping, time_slice=seconds, idle=idle).run()


def deliver_all(
    channel: Channel,
    lane: str = "promotional",
    *,
    seconds: float = 15.0,
    idle: float = 0.4,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """The same, until nothing is left that was given back because its decision or token grew too old."""
    sent = deliver_once(channel, lane, seconds=seconds, idle=idle, stopping=stopping)
    while True:
        with database.session() as session:
            late = session.execute(_GIVEN_BACK).scalar_one()
            if late:
                tick(session, clock.now() + 3)
        if not late:
            return sent
        sent += deliver_once(channel, lane, seconds=seconds, idle=idle, stopping=stopping)
