"""Reads the bodies of webhooks, which nobody vouches for until the last byte is here.

The platform batches up to a thousand events, and a text of two thousand characters is twelve kilobytes where each is
escaped: so a body may be large. Few large ones are read at a time, and not for ever.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from scheduler.errors import TooLarge, Unavailable
from scheduler.settings import get_settings

#: From this size on a body is large. So many of those are read and received at a time, in a process.
LARGE = 1_048_576
_AT_A_TIME = 4
#: Real seconds after which a large body must have had its turn and its end.
_PATIENCE = 15.0
#: Real seconds for which the beginning of a body is waited for that is refused in any case.
_A_MOMENT = 0.2


class BodyTooLarge(TooLarge):
    """the body is over the limit"""

    def __init__(self, most: int, beginning: bytes) -> None:
        super().__init__(
            f"the body is over the limit of {most} bytes", field="body", way_out="send fewer events at once"
        )
        #: What was read of it.
        self.beginning = beginning


class Bodies:
    """Reads bodies; those that are large take turns."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def read(self, length: str | None, receive: Receive) -> bytes:
        """The whole body, until ``done`` with it; ``length`` is what its headers say.

        Raises BodyTooLarge, Unavailable where others have the turns for too long or it does not end, ClientDisconnect.
        """
        most = get_settings().webhook_max_bytes
        if length is not None and length.isdecimal() and int(length[:20]) > most:
            raise BodyTooLarge(most, await beginning(receive))
        parts: list[bytes] = []
        size, more = 0, True
        while more and size < LARGE:
            size, more = await _part(receive, parts, size, most)
        if size >= LARGE:
            await self._rest(receive, parts, size, most, more=more)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def done(self, body: bytes) -> None:
        """The body is not needed any more."""
        if len(body) >= LARGE:
            self._turns.release()

    async def _rest(self, receive: Receive, parts: list[bytes], size: int, most: int, *, more: bool) -> None:
        """Wait for a turn, and read what is left; the turn is kept."""
        until = asyncio.get_running_loop().time() + _PATIENCE
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError as error:
            raise _too_slow() from error
        try:
            async with asyncio.timeout_at(until):
                while more:
                    size, more = await _part(receive, parts, size, most)
        except BaseException as error:
            self._turns.release()
            if isinstance(error, TimeoutError):
                raise _too_slow() from error
            raise


def _too_slow() -> Unavailable:
    return Unavailable("the body did not come in time", field="body", way_out="send it again")


async def _part(receive: Receive, parts: list[bytes], size: int, most: int) -> tuple[int, bool]:
    """Read one more part: (how much there is now, whether more will come)."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    parts.append(message.get("body", b""))
    size += len(parts[-1])
    if size > most:
        raise BodyTooLarge(most, parts[0])
    return size, bool(message.get("more_body", False))


async def beginning(receive: Receive) -> bytes:
    """What has come of a body that is refused unread: it tells whose page it is about. Waits a moment at most."""
    try:
        message = await asyncio.wait_for(receive(), _A_MOMENT)
    except TimeoutError:
        return b""
    return bytes(message.get("body", b""))
