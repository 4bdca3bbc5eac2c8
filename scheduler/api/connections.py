"""A connection from the internet: uvicorn's protocol on httptools, with the limits that it does not have.

Bytes and number of headers, time for the head, the body and the reading of the answer, requests sent ahead. A client
that crosses one gets a short answer, where it can still get one, and is cut off.
"""

from __future__ import annotations

import json
import logging
from asyncio import AbstractEventLoop, Transport
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from scheduler.api.caller import STATE
from scheduler.api.crowd import Bounds, Crowd, extended
from scheduler.api.safe_headers import safe_headers
from scheduler.api.security_events import seen
from scheduler.settings import get_settings

#: Bytes of a request's line and headers, and their number. The platform's webhooks have a dozen, of half a kilobyte.
MOST_HEAD_BYTES = 32 * 1024
MOST_HEADERS = 100
#: Requests that a client sends before the one under way is answered.
_AHEAD = 16
#: Bytes of a body that are read and thrown away after its request was refused, and real seconds for which: a client
#: that is still sending would not see the answer if it was cut off at once.
_THROWN_AWAY = 1024 * 1024
_LINGER = 2.0
#: A body of many small chunks costs more to read than it brings: pieces that are free, and their average size beyond.
_FREE_PIECES, _PIECE = 1000, 64
#: Bytes around a body's own: sizes of chunks and what stands beside them.
_FREE_BYTES, _AROUND = 64 * 1024, 8

#: Bytes of an answer that count as having read on.
_READ = 16 * 1024

#: What a connection is at.
_HEAD, _BODY, _ANSWER, _LINGERING = range(4)

#: What uvicorn says of every request that cannot be read: those are counted, not told one by one.
_COUNTED = ("Invalid HTTP request received.", "Unsupported upgrade request.", "No supported WebSocket library")
logging.getLogger("uvicorn.error").addFilter(lambda record: not str(record.msg).startswith(_COUNTED))

#: A server's connections belong together.
_crowds: WeakKeyDictionary[ServerState, Crowd] = WeakKeyDictionary()


class _Refused(Exception):
    """A limit was crossed within a call of the parser's."""


class Connection(HttpToolsProtocol):
    """HTTP with limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        crowd = _crowds.get(server_state)
        if crowd is None:
            crowd = _crowds[server_state] = Crowd(Bounds.of(get_settings()), self.loop)
        self.crowd = crowd
        self.address = ""
        self.made_at = self.since = crowd.now
        self.taken = 0
        self._at = _HEAD
        #: Of the present request: bytes of its head as they came, bytes and number of its headers, bytes and pieces of
        #: its body as they came, and what is counted in the crowd's sum.
        self._raw = self._head = self._pieces = self._counted = 0
        #: The limit that was crossed within the parser, and the status of the answer.
        self._crossed: tuple[str, int | None] = ("malformed", 400)
        #: Bytes of the answer that the client had not read when somebody looked, and since when it reads nothing.
        self._unread, self._stuck_since = 0, 0.0

    # What the crowd asks.

    @property
    def waiting(self) -> bool:
        """Whether the next step is the client's."""
        return self._at != _ANSWER or bool(self._unread)

    @property
    def sending_a_body(self) -> bool:
        """Whether a body has begun and not ended."""
        return self._at == _BODY

    def overdue(self, now: float, bounds: Bounds) -> str | None:
        """What took too long; empty for an idle connection that is at its end."""
        unread = self.transport.get_write_buffer_size()
        if unread:
            if not self._unread or unread <= self._unread - _READ:
                self._unread, self._stuck_since = unread, now
            return "slow_reader" if now - self._stuck_since > bounds.answer_seconds else None
        if self._unread:
            self._unread, self.since = 0, now
        if self._at == _BODY and self.flow.read_paused:
            # It waits for the application.
            self.since = now
        age = now - self.since
        if self._at == _HEAD and age > bounds.head_seconds:
            return "slow_head" if self._raw else ""
        if self._at == _BODY and age > extended(bounds.body_seconds, self.taken):
            return "slow_body"
        if self._at == _LINGERING and age > _LINGER:
            return ""
        return None

    def drop(self) -> None:
        """End it at once."""
        self._discount()
        if self._at == _HEAD and self._raw and not self._unread:
            self._refuse(408)
        else:
            self.transport.abort()

    # What the loop calls.

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as the base class does
        """Take it into the crowd, or close it."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if not self.crowd.enter(self):
            seen("no_room", self.address)
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.crowd.leave(self)
        self._discount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits."""
        at = self._at
        if at != _ANSWER:
            self._raw += len(data)
        super().data_received(data)
        if at != self._at or self.transport.is_closing():
            return
        if at == _HEAD and self._raw > MOST_HEAD_BYTES:
            self._cut_off("head_too_large", 431)
        elif at == _BODY and self._raw > _FREE_BYTES + _AROUND * self.taken:
            self._cut_off("malformed", 400)
        elif at == _LINGERING and self._raw > _THROWN_AWAY:
            self.transport.abort()

    def resume_writing(self) -> None:
        """The client has read most of what was written."""
        self._stuck_since = self.crowd.now
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= _AHEAD:
            self._crossed = "too_many_requests", None
            raise _Refused
        self._at, self.since = _HEAD, self.crowd.now
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Another part of its address."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Another header; one after a chunked body, too."""
        self._head += len(name) + len(value)
        if self._head > MOST_HEAD_BYTES or len(self.headers) >= MOST_HEADERS:
            self._crossed = "head_too_large", 431
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._at, self.since = _BODY, self.crowd.now
        self._raw = self._pieces = self.taken = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Another part of the body."""
        size = len(body)
        self.taken += size
        self._pieces += 1
        if self._pieces > _FREE_PIECES and self.taken < self._pieces * _PIECE:
            raise _Refused
        super().on_body(body)
        if self.cycle.response_complete or self.transport.is_closing():
            return
        if STATE not in self.scope["state"]:
            self._counted += size
            self.crowd.take(size)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._raw = 0
        self._at = _ANSWER
        super().on_message_complete()
        if self.cycle.response_complete and not self.pipeline:
            self._at, self.since = _HEAD, self.crowd.now

    # What the answer calls.

    def on_response_complete(self) -> None:
        """Wait for the next request; throw away what is left of this one."""
        self._discount()
        if not self.pipeline:
            # What was refused before its body was read sends the rest of it for nothing.
            self._at, self.since = _LINGERING if self._at == _BODY else _HEAD, self.crowd.now
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the base class gives one for all troubles
        """Answer what cannot be read, or crossed a limit within the parser."""
        self.pipeline.clear()
        self._cut_off(*self._crossed)

    def _discount(self) -> None:
        self.crowd.pending -= self._counted
        self._counted = 0

    def _cut_off(self, kind: str, status: int | None) -> None:
        seen(kind, self.address)
        self._refuse(status)

    def _refuse(self, status: int | None) -> None:
        """Close the connection; with a word, where the application has not begun to answer."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if status is not None and (cycle is None or cycle.response_complete or not cycle.response_started):
            if cycle is not None:
                cycle.disconnected = True
            self.transport.write(_answer(status, self.scheme or "http"))
        self.transport.close()


_CODES = {
    400: ("malformed", "the request cannot be read as HTTP"),
    408: ("too_slow", "the request did not come in time"),
    431: ("too_large", f"the headers are over the limit of {MOST_HEAD_BYTES} bytes or {MOST_HEADERS} headers"),
    503: ("unavailable", "there are too many connections: try again"),
}


@lru_cache
def _answer(status: int, scheme: str) -> bytes:
    code, detail = _CODES[status]
    phrase = HTTPStatus(status).phrase
    problem = {"type": f"urn:duly:problem:{code}", "title": phrase, "status": status, "detail": detail, "code": code}
    body = json.dumps({**problem, "errors": []}).encode()
    headers = {
        **safe_headers("", scheme),
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + body
