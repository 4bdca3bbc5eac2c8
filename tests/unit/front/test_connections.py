"""A server on a socket, with an application that does nothing: what a client may take of it before it is cut off."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import uvicorn

from scheduler.api import connections
from scheduler.api import security_events as kept
from scheduler.api.connections import MOST_HEAD_BYTES, MOST_HEADERS, Connection
from tests.patience import patience

HOST = "127.0.0.1"
#: An answer that no buffer of the kernel's holds.
LARGE = 32 * 1024 * 1024


async def application(scope: dict, receive: Callable, send: Callable) -> None:  # type: ignore[type-arg]
    """/large answers a lot; /refused answers before it has read anything; else the length of the body."""
    if scope["type"] != "http":
        return
    body = b"x" * LARGE if scope["path"] == "/large" else b"refused"
    if scope["path"] == "/body":
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of security events that were counted."""
    found: list[str] = []
    for module in (connections, connections.Crowd.__module__ and __import__("scheduler.api.crowd", fromlist=["seen"])):
        monkeypatch.setattr(module, "seen", lambda kind, _address: found.append(kind))
    return found


@pytest.fixture
def head_seconds() -> str:
    """Within which a head must have come; for a test to say otherwise."""
    return "1"


@pytest.fixture
def port(set_environment: Callable[..., None], counted: list[str], head_seconds: str) -> Iterator[int]:
    """A server whose limits are quickly reached."""
    set_environment(
        DULY_WEB_CONNECTIONS="60", DULY_WEB_CONNECTIONS_PER_ADDRESS="12", DULY_WEB_HEAD_SECONDS=head_seconds,
        DULY_WEB_BODY_SECONDS="1", DULY_WEB_ANSWER_SECONDS="1",
    )  # fmt: skip
    listener = socket.create_server((HOST, 0))
    server = uvicorn.Server(
        uvicorn.Config(application, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(patience(10))


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], socket.socket]]:
    """``connect()``: another connection to it."""
    made: list[socket.socket] = []

    def one() -> socket.socket:
        made.append(socket.create_connection((HOST, port), timeout=patience(10)))
        return made[-1]

    yield one
    for each in made:
        each.close()


def ask(line: socket.socket, path: str = "/body", body: bytes = b"12345") -> bytes:
    """The body of the answer to a whole request."""
    line.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return read_answer(line)[1]


def read_answer(line: socket.socket) -> tuple[int, bytes, str]:
    """Status, body and head of one answer."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = line.recv(65536)
        assert more, read
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    text = head.decode().lower()
    length = int(text.split("content-length: ")[1].split("\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return int(head.split()[1]), body, text


def ended(line: socket.socket) -> bool:
    """Whether the server ends the connection; waits for it."""
    with suppress(ConnectionError):
        while line.recv(65536):
            pass
    return True


def flood(line: socket.socket, chunk: bytes) -> None:
    """Send it again and again until the server has enough; a server that has not after 64 MB never will."""
    with pytest.raises(ConnectionError):
        for _ in range(64 * 1024 * 1024 // len(chunk)):
            line.sendall(chunk)


def test_requests_are_served_one_after_another_on_a_connection(connect: Callable[[], socket.socket]) -> None:
    line = connect()
    assert [ask(line, body=b"x" * size) for size in (0, 5, 300_000)] == [b"0", b"5", b"300000"]


@pytest.mark.parametrize(
    "chunk",
    [b"X-More: " + b"a" * 1000 + b"\r\n", b"A: b\r\n" * 200, b"a" * 65536],
    ids=["many large", "many small", "one without end"],
)
def test_headers_without_end_are_cut_off(
    connect: Callable[[], socket.socket], counted: list[str], chunk: bytes
) -> None:
    line = connect()
    line.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-First: ")
    flood(line, chunk)
    assert counted == ["head_too_large"]
    assert ask(connect()) == b"5"


def test_an_address_without_end_is_cut_off(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"GET /")
    flood(line, b"a" * 65536)
    assert counted == ["head_too_large"]


def test_a_client_with_too_many_headers_is_told(connect: Callable[[], socket.socket]) -> None:
    line = connect()
    line.sendall(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MOST_HEADERS + 1) + b"\r\n")
    status, body, head = read_answer(line)
    assert (status, json.loads(body)["code"]) == (431, "too_large")
    assert "application/problem+json" in head
    assert "content-security-policy" in head


def test_headers_up_to_the_limit_are_served(connect: Callable[[], socket.socket]) -> None:
    line = connect()
    for _ in range(3):
        line.sendall(
            b"POST /body HTTP/1.1\r\nX: " + b"a" * (MOST_HEAD_BYTES - 100) + b"\r\nContent-Length: 3\r\n\r\nabc"
        )
        assert read_answer(line)[:2] == (200, b"3")


def test_headers_after_a_body_are_bounded_too(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    flood(line, b"X-More: " + b"a" * 1000 + b"\r\n")
    assert counted == ["head_too_large"]


def test_what_is_not_http_is_told_so(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
    status, body, _ = read_answer(line)
    assert (status, json.loads(body)["code"]) == (400, "malformed")
    assert ended(line)
    assert counted == ["malformed"]


@pytest.mark.parametrize(
    "chunk", [b"1\r\na\r\n", b"1;" + b"e" * 50_000 + b"\r\na\r\n"], ids=["small", "with much around"]
)
def test_chunks_that_cost_more_than_they_bring_are_cut_off(
    connect: Callable[[], socket.socket], counted: list[str], chunk: bytes
) -> None:
    line = connect()
    line.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    flood(line, chunk * (65536 // len(chunk)))
    assert counted == ["malformed"]


def test_a_body_that_nobody_reads_is_thrown_away_for_a_while(connect: Callable[[], socket.socket]) -> None:
    line = connect()
    # Less than that: the client gets its answer, and the next one.
    assert ask(line, "/refused", b"x" * 600_000) == b"refused"
    assert ask(line) == b"5"
    line.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert read_answer(line)[1] == b"refused"
    flood(line, b"10000\r\n" + b"x" * 65536 + b"\r\n")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", None),
        (b"POST / HTTP/1.1\r\nX-Slow: 1\r\n", "slow_head"),
        (b"POST /body HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc", "slow_body"),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_whoever_says_no_more_is_cut_off(
    connect: Callable[[], socket.socket], counted: list[str], said: bytes, kind: str | None
) -> None:
    line = connect()
    line.sendall(said)
    began = time.monotonic()
    assert ended(line)
    # Not at once: the limit is a second.
    assert time.monotonic() - began > 0.4
    assert counted == ([kind] if kind else [])


def test_a_slow_drip_is_no_way_around_it(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"POST / HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        for _ in range(int(patience(100))):
            line.sendall(b"A: b\r\n")
            time.sleep(0.1)  # the drip
    assert counted == ["slow_head"]


def test_whoever_reads_nothing_of_an_answer_is_cut_off(
    connect: Callable[[], socket.socket], counted: list[str], eventually: Callable[..., None]
) -> None:
    line = connect()
    line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: counted == ["slow_reader"], seconds=10, what="it being cut off")
    assert ended(line)


def test_whoever_reads_slowly_gets_it_all(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    read = 0
    while more := line.recv(1024 * 1024):
        read += len(more)
        time.sleep(0.05)  # far from as fast as it could, and longer than the limit in all
    assert read > LARGE
    assert counted == []


def test_requests_sent_ahead_are_bounded(connect: Callable[[], socket.socket], counted: list[str]) -> None:
    line = connect()
    line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    read = b""
    while read.count(b"200 OK") < 10:
        read += line.recv(65536)
    line = connect()
    with suppress(ConnectionError):
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    assert ended(line)
    assert counted == ["too_many_requests"]


@pytest.mark.parametrize("head_seconds", ["120"])
def test_of_too_many_connections_the_oldest_that_wait_are_closed(
    connect: Callable[[], socket.socket], counted: list[str], eventually: Callable[..., None]
) -> None:
    lines = [connect() for _ in range(40)]
    # Nobody is refused for them.
    assert ask(connect()) == b"5"
    eventually(lambda: counted.count("too_many_connections") >= 29, seconds=10, what="the oldest being closed")
    assert all(ended(line) for line in lines[:29])
    assert ask(connect()) == b"5"


def test_beyond_the_most_connections_the_newest_is_told(
    connect: Callable[[], socket.socket], counted: list[str], eventually: Callable[..., None]
) -> None:
    lines = [connect() for _ in range(60)]
    eventually(lambda: ask(lines[-1], "/refused") == b"refused", what="them being taken in")
    last = connect()
    status, body, _ = read_answer(last)
    assert (status, json.loads(body)["code"]) == (503, "unavailable")
    assert "no_room" in counted
    # As they wait for nothing, there is room soon.
    eventually(lambda: _answers(connect), seconds=10, what="room for another")


def _answers(connect: Callable[[], socket.socket]) -> bool:
    try:
        return ask(connect()) == b"5"
    except (OSError, AssertionError):
        return False


def test_bodies_of_all_together_are_bounded(
    connect: Callable[[], socket.socket], counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.api.crowd.MOST_PENDING", 1024 * 1024)
    lines = [connect() for _ in range(4)]
    for size, line in enumerate(lines, 1):
        line.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        line.sendall(b"x" * 150_000 * size)
    # The largest give way; whoever says something short is heard.
    assert ended(lines[3])
    assert set(counted) == {"too_many_bytes"}
    assert ask(connect()) == b"5"


def test_what_is_counted_is_written_in_words() -> None:
    assert set(kept.WORDS) >= {"slow_head", "slow_body", "slow_reader", "head_too_large", "malformed", "no_room"}
