"""Connections that keep a deadline for the whole answer, know whether a byte was written, and are never stale.

``requests``' read timeout is per ``recv``: an answer that drips is read for ever. And its errors do not tell whether
the request had begun to leave, which is what separates "proven not sent" from "in doubt".

A connection is used again only after an answer that was read to its end and left nothing behind: whatever is left
would be taken for the answer to the next message, and every message after it would get its neighbour's id.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from scheduler import crash_points

#: The platform closes idle connections; one that sat this long (real seconds) is not trusted with a message, because
#: a request written to a closed connection is in doubt though nobody read it.
_FRESH = 5.0
#: Interim answers that are skipped before the final one. Nobody who is well sends more than one or two.
_MOST_INTERIM = 16
#: Final answers without a body, whatever their headers say (RFC 9112, 6.3). None is an answer to a message.
_BODILESS = frozenset({101, 204, 205, 304})
_HTTP_1_1 = 11


class Watch(threading.local):
    """What the request of this thread must keep to, and how far it got."""

    #: ``time.monotonic()`` at which the whole answer must be here.
    deadline: float = float("inf")
    #: ``time.monotonic()`` after which its first byte must not leave any more.
    write_by: float = float("inf")
    #: Asked just before the first byte leaves: None lets it, a reason keeps it back.
    last_word: Callable[[], str | None] | None = None
    #: Whether a byte of the request may have left.
    written: bool = False
    #: Why it was kept back, where it was: connecting had taken until after ``write_by``, or the last word was no.
    held_back: str | None = None
    #: The answer that was read last.
    answer: _DeadlineResponse | None = None

    def distrust(self) -> None:
        """Have the connection that brought the last answer closed: what it said shows that it is out of step."""
        if self.answer is not None:
            self.answer.clean = False


watch = Watch()


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until the deadline, however slowly the bytes come."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        #: Nothing more is read from the socket: what is buffered is all there is.
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        left = watch.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not come in time")
        self._sock.settimeout(min(left, 3600.0))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """Stands where the answer looks for its socket, of which it wants a reader and nothing else."""

    def __init__(self, sock: socket.socket) -> None:
        self.reader = _DeadlineReader(sock)
        self.buffer = io.BufferedReader(self.reader)

    def makefile(self, _mode: str) -> io.BufferedReader[_DeadlineReader]:
        return self.buffer

    def holds_more(self) -> bool:
        """Whether bytes were received that nobody has read. Reads none."""
        self.reader.ended = True
        return bool(self.buffer.peek(1))


class _DeadlineResponse(http.client.HTTPResponse):
    """An answer that skips interim ones, and knows whether it ended as an answer should."""

    #: It was read to its end and nothing followed it.
    clean = False

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        self._source = _Source(sock)
        super().__init__(self._source, *arguments, **options)  # type: ignore[arg-type]  # see _Source

    def _read_status(self) -> tuple[str, int, str]:
        """The final answer's status line. The base class skips 100 alone (RFC 9110, 15.2: a client must all 1xx)."""
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # it has no public name
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("the answer is preceded by too many interim ones")

    def _close_conn(self) -> None:
        """Close the reader; the base class calls it at the answer's end, and where reading broke off."""
        self.clean = self._framed() and not self.length and not self._source.holds_more()
        super()._close_conn()  # type: ignore[misc]  # it has no public name

    def _framed(self) -> bool:
        """Whether the end of its body is beyond doubt, and the connection may outlive it."""
        # None until the head is read, whatever its type says.
        headers: Any = self.headers
        if headers is None or self.version != _HTTP_1_1 or self.will_close or self.status in _BODILESS:
            return False
        lengths, codings = headers.get_all("content-length", []), headers.get_all("transfer-encoding", [])
        if self.chunked:
            # urllib3 reads the chunks, and closes the connection where they do not end as they should.
            return not lengths and len(codings) == 1
        return len(lengths) == 1 and lengths[0].strip().isdecimal() and not codings


class _Watched:
    """The part that plain and TLS connections share; mixed into a connection class."""

    sock: socket.socket | None
    _used_at = 0.0
    _answer: _DeadlineResponse | None = None
    #: The parts of a request that is being put together.
    _parts: list[bytes] | None = None

    def request(self, *arguments: Any, **options: Any) -> None:
        """Write a request, head and body at once: two writes are two packets, and a fifth of what a message costs."""
        self._parts = []
        try:
            super().request(*arguments, **options)  # type: ignore[misc]  # of the connection class
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        self.send(whole)

    def send(self, data: Any) -> None:
        """Write a part of the request; connects first where that has not happened. Raises when it may not leave now."""
        if self._parts is not None:
            self._parts.append(data)
            return
        if not watch.written:
            self._connect_anew_where_spoiled()
        if not watch.written:
            watch.held_back = _why_not_now()
            if watch.held_back is not None:
                raise TimeoutError(watch.held_back)
            if self.sock is not None and _spoiled(self.sock):
                # While the last word was waited for.
                raise ConnectionError("the other side talks before it is asked")
        watch.written = True
        super().send(data)  # type: ignore[misc]  # as above

    def response_class(self, sock: socket.socket, *arguments: Any, **options: Any) -> _DeadlineResponse:
        """Make the answer that the base class then reads the head of."""
        self._answer = watch.answer = _DeadlineResponse(sock, *arguments, **options)
        return self._answer

    def getresponse(self) -> Any:
        """The answer's head; remembers when the connection was last used."""
        crash_points.reach("deliver.after_bytes")
        answer = super().getresponse()  # type: ignore[misc]  # as above
        self._used_at = time.monotonic()
        return answer

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use this connection again."""
        if self._answer is None or not self._answer.clean:
            return False
        return bool(super().is_connected) and time.monotonic() - self._used_at < _FRESH  # type: ignore[misc]  # as above

    def _connect_anew_where_spoiled(self) -> None:
        """Have a connection on which nothing was said yet but what was asked for. Raises OSError where there is none.

        The pool looked when it handed the connection out; what came since, while the page's rate was asked for or a
        handshake went on, would be taken for the answer to what is about to leave.
        """
        for _ in range(2):
            if self.sock is None:
                self.connect()  # type: ignore[attr-defined]  # of the connection class
            assert self.sock is not None
            if not _spoiled(self.sock):
                return
            # Not by `close`, which would forget the request that is being made.
            self.sock.close()
            self.sock = None
        raise ConnectionError("the other side talks before it is asked")


def _spoiled(sock: socket.socket) -> bool:
    """Whether the other side hung up, or said something, on a connection where it is our turn."""
    patience = sock.gettimeout()
    try:
        sock.settimeout(0.0)
        # What is read is lost, and so is the connection then. TLS reads its own messages without showing them.
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(patience)
    return True


def _why_not_now() -> str | None:
    if time.monotonic() > watch.write_by:
        return "connected_too_late"
    reason = watch.last_word() if watch.last_word is not None else None
    # The last word may have taken its time itself.
    return "connected_too_late" if reason is None and time.monotonic() > watch.write_by else reason


class _PlainConnection(_Watched, HTTPConnection):  # type: ignore[misc]  # a method makes the response, not its class
    """Without TLS: to a sandbox."""


class _TlsConnection(_Watched, HTTPSConnection):  # type: ignore[misc]  # as above
    """With TLS."""


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Answer(requests.Response):
    """An answer without a jar: making one for every message costs as much as reading the answer's body."""

    def __init__(self) -> None:
        self._content = False  # type: ignore[assignment]  # what it is until it is read
        self._content_consumed = False


class WatchedAdapter(HTTPAdapter):
    """Mounts the connections above. Never retries: only the outbox decides whether something is tried again.

    One platform, no proxies, no cookies: what ``requests`` works out anew for every request is worked out once, which
    halves what a message costs.
    """

    def __init__(self, connections: int) -> None:
        self._pools: dict[str, Any] = {}
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As the base class does, with pools of watched connections."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool of the request's host, with the certificates to check it by."""
        assert request.url is not None
        origin = "/".join(request.url.split("/", 3)[:3])
        found = self._pools.get(origin)
        if found is None:
            found = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            super().cert_verify(found, request.url, verify, cert)  # type: ignore[no-untyped-call]  # of requests
            self._pools[origin] = found
        return found

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the pool knows its certificates since it was made."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """What stands in the request line; there are no proxies, for which it would be the whole address."""
        del proxies
        return request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Status, headers and the open body. The platform's cookies are nobody's business."""
        answer = _Answer()
        answer.request, answer.url, answer.raw = req, req.url or "", resp
        answer.status_code, answer.headers = resp.status, resp.headers
        return answer
