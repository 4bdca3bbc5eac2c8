"""A look at something outside the process that all who ask for it at the same time share.

Strangers may ask as often as they like: there is never more than one look under way, in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

Found = TypeVar("Found")


class SharedLook(Generic[Found]):
    """What ``look`` returned or raised last."""

    def __init__(self, look: Callable[[], Found], *, pause: float = 0.0) -> None:
        """``pause``: real seconds from the beginning of one look to the next's, at least."""
        self._look, self._pause = look, pause
        self._began = float("-inf")
        self._outcome: Found | BaseException | None = None
        self._under_way: asyncio.Task[None] | None = None

    async def at_most(self, age: float) -> Found:
        """What a look found that began ``age`` real seconds ago at most, 0: now; begins one where none did.

        Raises what that look raised.
        """
        instant = asyncio.get_running_loop().time() - age
        while self._began < instant or self._outcome is None:
            if self._under_way is None:
                self._under_way = asyncio.create_task(self._do())
            # Whoever hangs up does not end it for the others.
            await asyncio.shield(self._under_way)
        if isinstance(self._outcome, BaseException):
            raise self._outcome.with_traceback(None)
        return self._outcome

    async def _do(self) -> None:
        try:
            clock = asyncio.get_running_loop().time
            wait = self._began + self._pause - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            began = clock()
            try:
                # The threads that serve requests may all be taken.
                outcome: Found | BaseException = await to_thread.run_sync(self._look, limiter=CapacityLimiter(1))
            except Exception as error:  # whatever it is: whoever asked gets it
                outcome = error
            self._began, self._outcome = began, outcome
        finally:
            self._under_way = None
