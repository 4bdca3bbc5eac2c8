"""A stand-in for the platform that costs next to nothing: ``python -m benchmarks.delivery.responder --latency 50``.

The sandbox parses, judges and logs every request, at about the price of sending one: on one core it would be what is
measured. This one reads a request of the Send API whole, waits, and answers with what the platform answers; it counts
requests, and messages that came twice. No fsync, no log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time
from typing import cast

import uvloop

_BODY = b'{"recipient_id":"%s","message_id":"m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM_QPpz5jdCK48PnKAjSdjfipqxqMvK8ma6AC8fp%08d"}'
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nfacebook-api-version: v26.0\r\n"
    b"x-fb-request-id: AzXtQ7yKbXn3vNn2\r\nx-fb-trace-id: CzN0g9e3zOv\r\nCache-Control: no-store\r\n"
    b"Connection: keep-alive\r\nContent-Length: %d\r\n\r\n"
)


class Tally:
    """What arrived."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = 0
        self.doubled = 0
        self.seen: set[bytes] = set()


class Platform(asyncio.Protocol):
    """One connection. Requests come one after the other: nobody pipelines here."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(buffer[:end])
        length = _length(head)
        if len(buffer) < end + 4 + length:
            return
        body = bytes(buffer[end + 4 : end + 4 + length])
        buffer.clear()
        if head.startswith(b"GET /tally"):
            tally = self._tally
            self._write(
                json.dumps({"requests": tally.requests, "doubled": tally.doubled, "at": time.monotonic()}).encode()
            )
            return
        self._accept(body)

    def _accept(self, body: bytes) -> None:
        tally = self._tally
        tally.requests += 1
        document = json.loads(body)
        psid = document["recipient"]["id"].encode()
        message = document["message"]["metadata"].partition(".")[0].encode()
        if message in tally.seen:
            tally.doubled += 1
        tally.seen.add(message)
        answer = _BODY % (psid, tally.requests)
        if tally.latency:
            asyncio.get_running_loop().call_later(tally.latency, self._write, answer)
        else:
            self._write(answer)

    def _write(self, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_HEAD % len(body) + body)


def _length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def _serve(latency: float, port: int) -> None:
    tally = Tally(latency)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    server = await asyncio.get_running_loop().create_server(lambda: Platform(tally), sock=listener)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(arguments: list[str]) -> None:
    """Serve until killed; the first line of output is the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds from a request to its answer")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args(arguments)
    uvloop.run(_serve(given.latency / 1000, given.port))


if __name__ == "__main__":
    main(sys.argv[1:])
