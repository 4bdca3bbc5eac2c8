"""Heavy reads: summaries, previews, exports. Few at a time, on connections of their own, and not for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Depends, Request

from scheduler.errors import Busy
from scheduler.settings import get_settings

#: Real seconds for which a request waits for its turn.
_PATIENCE = 2.0
#: Where a request says that it is one.
_STATE = "heavy"


class Turns:
    """Whose turn it is, in this process."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(get_settings().heavy_reads)

    async def take(self) -> None:
        """Wait for a turn. Raises Busy where others have them for too long."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._free.acquire()
        except TimeoutError as error:
            raise Busy(
                "as many summaries, previews and exports are being made as may be at a time",
                way_out="try again in a moment; DULY_HEAVY_READS says how many may be",
            ) from error

    def give_back(self) -> None:
        """The turn is over."""
        self._free.release()


async def _turn(request: Request) -> AsyncIterator[None]:
    turns: Turns = request.app.state.heavy
    await turns.take()
    setattr(request.state, _STATE, True)
    try:
        yield
    finally:
        turns.give_back()


def is_heavy(request: Request) -> bool:
    """Whether it has one of the turns, and works on the connections that belong to them."""
    return getattr(request.state, _STATE, False)


#: Of a route that reads much: ``dependencies=[HEAVY]``.
HEAVY = Depends(_turn, scope="function")
