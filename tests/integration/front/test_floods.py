"""Floods against a web process of its own, by raw sockets, while somebody says STOP: each STOP is heard."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scheduler.store.redis_server import free_port
from tests.forked import start_web
from tests.integration.front.conftest import envelope, sign
from tests.patience import patience, wait_until

#: Real seconds of each flood, and between two STOPs.
SECONDS, EVERY = 2.5, 0.1
HOOK = "/webhooks/messenger"


class Web:
    """A web process, and how strangers reach it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=patience(5))

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience(15))
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def memory(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("it has ended")

    def connections(self) -> int:
        found = 0
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(OSError):
                found += os.readlink(each).startswith("socket:")
        return found


@pytest.fixture
def web(
    page: Any, redis_url: str, tmp_path: Path, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> Iterator[Web]:
    """A web process with the page, whose limits are as they are by default but for the seconds."""
    set_environment(DULY_WEB_HEAD_SECONDS="2", DULY_WEB_BODY_SECONDS="2", DULY_WEB_ANSWER_SECONDS="2")
    port = free_port()
    process = start_web(port, environment=dict(os.environ), log=tmp_path / "web.log")

    def answers() -> bool:
        with suppress(OSError, http.client.HTTPException):
            return Web(port, 0).ask("GET", "/readyz/webhooks") == 200
        return False

    try:
        eventually(answers, seconds=60, what="the web process answering")
        assert process.pid is not None
        yield Web(port, process.pid)
    finally:
        process.terminate()
        process.join(patience(15))
        process.close()


def _head(*lines: str, method: str = "POST", path: str = HOOK) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: duly", *lines]).encode() + b"\r\n"


def _pouring(head: bytes, chunk: bytes) -> Callable[[Web, threading.Event], None]:
    def flood(web: Web, over: threading.Event) -> None:
        while not over.is_set():
            with suppress(OSError), web.connect() as line:
                line.sendall(head)
                while not over.is_set():
                    line.sendall(chunk)

    return flood


def _holding(said: bytes, many: int) -> Callable[[Web, threading.Event], None]:
    def flood(web: Web, over: threading.Event) -> None:
        held: list[socket.socket] = []
        with suppress(OSError):
            for _ in range(many):
                held.append(web.connect())
                held[-1].sendall(said)
        over.wait()
        for each in held:
            each.close()

    return flood


def _never_reading(web: Web, over: threading.Event) -> None:
    held = []
    while not over.is_set() and len(held) < 300:
        with suppress(OSError):
            held.append(web.connect())
            held[-1].settimeout(0.2)
            held[-1].sendall((_head(method="GET", path="/nothing") + b"\r\n") * 10)
        over.wait(0.01)
    for each in held:
        each.close()


def _asking(method: str, path: str, body: bytes = b"", **headers: str) -> Callable[[Web, threading.Event], None]:
    def flood(web: Web, over: threading.Event) -> None:
        while not over.is_set():
            with suppress(OSError, http.client.HTTPException):
                web.ask(method, path, body, **headers)

    return flood


def _resetting(web: Web, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(OSError), web.connect() as line:
            line.sendall(_head("Content-Length: 1000"))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_CHUNK = b"10000\r\n" + b"[" * 65536 + b"\r\n"
_FORGED = "sha256=" + "0" * 64
FLOODS: dict[str, tuple[int, Callable[[Web, threading.Event], None]]] = {
    "headers without end": (6, _pouring(_head(), b"X-More: " + b"a" * 8000 + b"\r\n")),
    "a header without end": (6, _pouring(_head() + b"X-Long: ", b"a" * 65536)),
    "an address without end": (6, _pouring(b"GET /", b"a" * 65536)),
    "bodies without end": (
        6, _pouring(_head("Transfer-Encoding: chunked", path="/api/v1/pages") + b"\r\n", _CHUNK),
    ),
    "webhooks without end": (
        6, _pouring(
            _head("Transfer-Encoding: chunked", f"X-Hub-Signature-256: {_FORGED}") + b"\r\n",
            _CHUNK,
        ),
    ),
    "silence": (1, _holding(b"", 500)),
    "half a head": (1, _holding(_head("X-Slow: 1"), 500)),
    "half a body": (
        1, _holding(
            _head("Content-Length: 900000", f"X-Hub-Signature-256: {_FORGED}") + b"\r\n" + b"{" * 60_000, 500
        ),
    ),
    "answers that nobody reads": (2, _never_reading),
    "connections that are reset": (4, _resetting),
    "wrong keys": (6, _asking("GET", "/api/v1/pages", Authorization="Bearer duly_guess")),
    "forged webhooks": (4, _asking("POST", HOOK, b'{"object":"page"}' * 5000, **{"X-Hub-Signature-256": _FORGED})),
    "wrong verify tokens": (
        6, _asking("GET", f"{HOOK}?hub.mode=subscribe&hub.verify_token=guess&hub.challenge=1")
    ),
    "readiness": (8, _asking("GET", "/readyz")),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_every_stop_is_heard(name: str, web: Web, page: Any, say: Any, row: Any) -> None:
    threads, flood = FLOODS[name]

    def stop(number: int) -> int:
        body = envelope(say(str(number), "STOP"))
        return web.ask("POST", HOOK, body, **{"X-Hub-Signature-256": sign(body, page.secret)})

    assert stop(1) == 200
    idle, most = web.memory(), 0
    over = threading.Event()
    attackers = [threading.Thread(target=flood, args=(web, over)) for _ in range(threads)]
    for each in attackers:
        each.start()
    answers = []
    try:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            answers.append(stop(len(answers) + 2))
            most = max(most, web.memory())
            time.sleep(EVERY)  # what is between two STOPs
    finally:
        over.set()
        for each in attackers:
            each.join(patience(30))
    assert answers
    assert set(answers) == {200}
    assert row("SELECT count(*) FROM suppression WHERE reason = 'opted_out'")[0] == len(answers) + 1
    assert most <= 2 * idle, f"{idle} became {most}"


@pytest.mark.parametrize("name", ["silence", "half a head", "half a body"])
def test_whoever_holds_connections_loses_them(name: str, web: Web, eventually: Callable[..., None]) -> None:
    before, over = web.connections(), threading.Event()
    attacker = threading.Thread(target=FLOODS[name][1], args=(web, over))
    attacker.start()
    try:
        assert wait_until(lambda: web.connections() > before + 100, seconds=20)
        eventually(lambda: web.connections() <= before + 5, seconds=30, what="the connections being closed")
        # Their end is the server's: nobody over there let go.
        assert attacker.is_alive()
    finally:
        over.set()
        attacker.join(patience(30))


def test_a_flood_is_told(web: Web, row: Any, eventually: Callable[..., None], tmp_path: Path) -> None:
    with suppress(OSError), web.connect() as line:
        line.sendall(_head() + b"X-Long: " + b"a" * 100_000)
        line.recv(100)
    eventually(
        lambda: row("SELECT many FROM security_event WHERE kind = 'head_too_large' AND at = 0") == (1,),
        what="it being counted",
    )
    lines = [json.loads(line) for line in (tmp_path / "web.log").read_text().splitlines() if line.startswith("{")]
    assert [each["kind"] for each in lines if each["event"] == "security_event"] == ["head_too_large"]
    assert "Invalid HTTP request" not in (tmp_path / "web.log").read_text()
