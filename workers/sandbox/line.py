"""The line to the platform, and how it breaks before the platform has seen anything: refused, slammed, swallowed.

What never becomes a request is no ``request`` in the log; what the line did to it is a record of its own.
"""

from __future__ import annotations

import asyncio
import re
import socket
from asyncio import Transport
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workers.sandbox.faults import reset

LineFault = Literal["refuse", "slam", "swallow"]

#: How a request for a message begins. What else comes (the sandbox's own addresses) is never swallowed.
_SEND = re.compile(rb"POST /v[\d.]+/\w+/messages[? ]")
_NAMED = re.compile(rb'"metadata": ?"(\d+)\.(\d+)')


class Line:
    """What befalls connections. ``record`` is told of each."""

    def __init__(self) -> None:
        self.slams = 0
        self.swallows = 0
        self.record: Callable[[dict[str, Any]], None] = lambda _record: None
        self.open: set[LineProtocol] = set()
        self._server: uvicorn.Server | None = None
        self._address = ("127.0.0.1", 0)

    def serve(self, config: uvicorn.Config, listener: socket.socket) -> None:
        """Serve on ``listener`` until the process is asked to end."""
        self._server = uvicorn.Server(config)
        self._address = listener.getsockname()[:2]
        self._server.run(sockets=[listener])

    async def refuse(self, seconds: float) -> None:
        """Nobody listens for ``seconds`` (real), and idle connections are closed: whoever connects is refused."""
        server = self._server
        if server is None or not server.servers:
            return
        for each in server.servers:
            each.close()
        server.servers.clear()
        for protocol in list(self.open):
            protocol.close_if_idle()
        await asyncio.sleep(seconds)
        loop, config = asyncio.get_running_loop(), server.config

        def make_protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]  # every protocol of uvicorn's takes these
                config=config, server_state=server.server_state, app_state=server.lifespan.state, _loop=loop
            )

        listener = socket.create_server(self._address)
        server.servers.append(await loop.create_server(make_protocol, sock=listener))

    def protocol(self) -> type[LineProtocol]:
        """The protocol of connections over this line."""
        return type("LineProtocol", (LineProtocol,), {"line": self})


class LineProtocol(HttpToolsProtocol):
    """HTTP over a connection that can break. ``request.state.transport`` is its transport."""

    line: ClassVar[Line]

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as the base class does
        """Give every request of this connection its transport; or break it before a byte is read."""
        self._kept: bytes | None = None
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        self.line.open.add(self)
        if self.line.slams > 0:
            self.line.slams -= 1
            self.line.record({"kind": "line", "what": "slammed"})
            reset(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.line.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what comes, unless it is to vanish: read, and never answered."""
        if self._kept is None:
            if self.line.swallows <= 0 or not _SEND.match(data):
                super().data_received(data)
                return
            self.line.swallows -= 1
            self._kept = b""
        told = _NAMED.search(self._kept)
        self._kept += data
        named = _NAMED.search(self._kept)
        if told is None and named is not None:
            record = {"kind": "line", "what": "swallowed", "message": named[1].decode(), "attempt": named[2].decode()}
            self.line.record(record)

    def close_if_idle(self) -> None:
        """End a kept connection on which nothing is under way."""
        cycle = getattr(self, "cycle", None)  # none before the first request
        if self._kept is None and (cycle is None or cycle.response_complete):
            self.transport.close()
