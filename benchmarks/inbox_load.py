"""The load of the inbox benchmark: signed webhooks over kept connections, each sent when the one before is answered.

python -m benchmarks.inbox_load PORT PATH SHAPE EVENTS_A_REQUEST REQUESTS CONNECTIONS SEED
It makes all requests, says ``ready``, begins when it reads a line, and tells what came back as JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import sys
import time
from collections.abc import Iterator

import uvloop

from benchmarks.delivery.stage import NOON

PAGES = 4
#: People who write: some for the first time, most again.
PEOPLE = 20_000
_TEXT = (
    "hello there can you tell me whether the blue mug is back in stock today please I would love to have one for my "
    "sister she likes it a lot thank you very much when does the shop open"
)


def _event(rng: random.Random, shape: str, page: str, number: str) -> dict[str, object]:
    psid = str(8_000_000_000_000_000 + rng.randrange(PEOPLE))
    event: dict[str, object] = {
        "sender": {"id": psid}, "recipient": {"id": page}, "timestamp": NOON * 1000 + rng.randrange(60_000),
    }  # fmt: skip
    kind = rng.choices(("message", "read", "delivery", "postback", "reaction"), (5, 2, 2, 1, 1))[0]
    if shape == "messages":
        kind = "message"
    mid = "m_" + hashlib.sha256(number.encode()).hexdigest()
    match kind:
        case "message":
            words = "STOP" if rng.random() < 0.01 else " ".join(rng.choices(_TEXT.split(), k=rng.randrange(2, 14)))
            event["message"] = {"mid": mid, "text": words}
        case "postback":
            event["postback"] = {"mid": mid, "title": "More", "payload": "MORE"}
        case "reaction":
            event["reaction"] = {"reaction": "love", "emoji": "❤", "action": "react", "mid": mid}
        case "read":
            event["read"] = {"watermark": event["timestamp"]}
        case "delivery":
            event["delivery"] = {"mids": [mid], "watermark": event["timestamp"]}
    return event


def requests(path: str, shape: str, each: int, count: int, seed: int) -> Iterator[bytes]:
    """``count`` whole HTTP requests with ``each`` events."""
    rng = random.Random(seed)
    for number in range(count):
        page = f"1000{1 + rng.randrange(PAGES)}"
        events = [_event(rng, shape, page, f"{seed}.{number}.{place}") for place in range(each)]
        entries = [{"id": page, "time": NOON * 1000, "messaging": [event]} for event in events]
        body = json.dumps({"object": "page", "entry": entries}, separators=(",", ":")).encode()
        signature = hmac.new(b"a-secret-of-the-stage", body, hashlib.sha256).hexdigest()
        yield (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class _Client(asyncio.Protocol):
    def __init__(self, work: Iterator[bytes], took: list[float], bad: list[bytes], done: asyncio.Future[None]) -> None:
        self._work, self._took, self._bad, self.done = work, took, bad, done
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def begin(self) -> None:
        request = next(self._work, None)
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._took.append(time.perf_counter() - self._sent)
        if not head.startswith(b"HTTP/1.1 200"):
            self._bad.append(head[:60] + rest[:200])
        self._buffer = rest[length:]
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the web process hung up"))


async def _run(port: int, made: list[bytes], connections: int) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    work, took, bad = iter(made), list[float](), list[bytes]()
    clients = []
    for _ in range(connections):
        client = _Client(work, took, bad, loop.create_future())
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
        clients.append(client)
    began = time.perf_counter()
    for client in clients:
        client.begin()
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "requests": len(took), "seconds": seconds, "p50_ms": 1000 * took[len(took) // 2],
        "p99_ms": 1000 * took[int(len(took) * 0.99)], "bad": len(bad),
        "first_bad": bad[0].decode("utf-8", "replace") if bad else None,
    }  # fmt: skip


def main(argv: list[str]) -> None:
    port, path, shape, each, count, connections, seed = argv
    made = list(requests(path, shape, int(each), int(count), int(seed)))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(uvloop.run(_run(int(port), made, int(connections)))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
