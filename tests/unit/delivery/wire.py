"""A server on a socket that does exactly what a test says, byte by byte."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.patience import patience

Script = Callable[[socket.socket, bytes], None]


class WireServer:
    """Accepts connections; hands each request's bytes and the connection to the script."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        #: What it says on a new connection before it is asked anything.
        self.greeting = b""
        self._busy = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        #: ``time.monotonic()`` of each request's arrival.
        self.arrivals: list[float] = []
        self.connections = 0
        self.script: Script = answer(200, b'{"recipient_id": "24", "message_id": "m_1"}')
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self.greeting:
                    connection.sendall(self.greeting)
                self.connections += 1
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := _whole_request(connection):
                self.arrivals.append(time.monotonic())
                self.requests.append(request)
                self._busy += 1
                try:
                    self.script(connection, request)
                finally:
                    self._busy -= 1

    def settled(self) -> bool:
        """Whether everything that was said has arrived, within some seconds."""
        deadline = time.monotonic() + patience(10)
        while (self._busy or not self.connections) and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._busy and self.connections > 0

    def send(self, what: bytes) -> None:
        """Say something on the newest connection, unasked."""
        self._open[-1].sendall(what)

    def hang_up(self) -> None:
        """Close the newest connection from this side."""
        self._open[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(patience(10))


def answer(status: int, body: bytes, *headers: str) -> Script:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    whole = ("\r\n".join(head) + "\r\n\r\n").encode() + body

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(whole)

    return script


def _whole_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def accept(connection: socket.socket, request: bytes) -> None:
    """Accept a message as the platform does: every one gets an id of its own."""
    body = json.dumps({"recipient_id": message_of(request)["recipient"]["id"], "message_id": f"m_{uuid.uuid4().hex}"})
    answer(200, body.encode())(connection, request)


def error(code: int, subcode: int | None = None, *, status: int = 400) -> Script:
    """Answer with an error of the platform."""
    found: dict[str, Any] = {"message": "(#) no", "type": "OAuthException", "code": code}
    if subcode is not None:
        found["error_subcode"] = subcode
    return answer(status, json.dumps({"error": found}).encode())


def message_of(request: bytes) -> dict[str, Any]:
    """The JSON body of a request."""
    document = json.loads(request.partition(b"\r\n\r\n")[2])
    assert isinstance(document, dict)
    return document


def message_id_of(request: bytes) -> int:
    """Which message a request is: the first part of its metadata."""
    return int(message_of(request)["message"]["metadata"].partition(".")[0])
