"""Requests to the platform, on real sockets."""

from __future__ import annotations

import hmac
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.unit.delivery.wire import WireServer, answer
from workers.send_api import transport
from workers.send_api.client import GraphClient, Sender

SENDER = Sender("1234", "EAAtoken", "secret")
PAYLOAD = {"recipient": {"id": "24"}, "messaging_type": "UPDATE", "message": {"text": "é"}}


@pytest.fixture
def client(wire: WireServer) -> Iterator[GraphClient]:
    made = GraphClient(wire.url, "v26.0", connections=4, deadline=30.0)
    yield made
    made.close()


@pytest.fixture
def hasty(wire: WireServer) -> Iterator[GraphClient]:
    """One that waits half a second for all of an answer."""
    made = GraphClient(wire.url, "v26.0", connections=4, deadline=0.5)
    yield made
    made.close()


def test_a_post_names_version_page_token_and_proof(wire: WireServer, client: GraphClient) -> None:
    result = client.post_message(SENDER, PAYLOAD)
    assert (result.result, result.mid) == ("sent", "m_1")
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    first = head.split(b"\r\n")[0].decode()
    proof = hmac.new(b"secret", b"EAAtoken", "sha256").hexdigest()
    assert first == f"POST /v26.0/1234/messages?appsecret_proof={proof} HTTP/1.1"
    assert b"Authorization: Bearer EAAtoken" in head
    assert b"EAAtoken" not in head.split(b"\r\n")[0]
    assert json.loads(body) == PAYLOAD


def test_connections_are_kept_and_used_again(wire: WireServer, client: GraphClient) -> None:
    for _ in range(5):
        assert client.post_message(SENDER, PAYLOAD).result == "sent"
    assert wire.connections == 1


def test_a_connection_that_sat_too_long_is_not_trusted(
    wire: WireServer, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post_message(SENDER, PAYLOAD)
    monkeypatch.setattr(transport, "_FRESH", 0.0)
    assert client.post_message(SENDER, PAYLOAD).result == "sent"
    assert wire.connections == 2


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = GraphClient(f"http://127.0.0.1:{port}", "v26.0", connections=1)
    result = client.post_message(SENDER, PAYLOAD)
    client.close()
    assert (result.kind, result.reason, result.effect, result.retry) == (
        "not_sent", "unreachable_platform", None, True,
    )  # fmt: skip


def test_a_name_nobody_knows_and_a_handshake_that_fails_prove_that_nothing_was_sent(wire: WireServer) -> None:
    def no_tls(connection: socket.socket, request: bytes) -> None:
        connection.close()

    wire.script = no_tls
    for url in ("http://nobody.invalid", f"https://127.0.0.1:{wire.port}"):
        client = GraphClient(url, "v26.0", connections=1, deadline=0.3)
        # Without bytes that look like a request the server waits; the deadline ends the handshake.
        result = client.post_message(SENDER, PAYLOAD)
        client.close()
        assert result.result == "not_sent", url


def test_not_a_byte_leaves_after_the_time_to_write_is_over(wire: WireServer, client: GraphClient) -> None:
    for _ in ("on a new connection", "on a kept one"):
        result = client.post_message(SENDER, PAYLOAD, write_by=time.monotonic() - 0.001)
        assert (result.kind, result.reason, result.retry) == ("not_sent", "connected_too_late", True)
        assert wire.requests == []
        # It is no matter of the next one.
        assert client.post_message(SENDER, PAYLOAD, write_by=time.monotonic() + 3600).result == "sent"
        wire.requests.clear()


def test_a_reset_after_the_request_is_in_doubt(wire: WireServer, client: GraphClient) -> None:
    def reset(connection: socket.socket, request: bytes) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    wire.script = reset
    result = client.post_message(SENDER, PAYLOAD)
    assert (result.result, result.reason) == ("in_doubt", "connection_lost")
    assert len(wire.requests) == 1


def test_an_answer_cut_short_is_in_doubt(wire: WireServer, client: GraphClient) -> None:
    def cut(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"message_id"')
        connection.shutdown(socket.SHUT_RDWR)

    wire.script = cut
    assert client.post_message(SENDER, PAYLOAD).result == "in_doubt"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_answer_that_drips_ends_at_the_deadline(wire: WireServer, hasty: GraphClient, start: bytes) -> None:
    over = threading.Event()

    def drip(connection: socket.socket, request: bytes) -> None:
        connection.sendall(start)
        while not over.wait(0.05):
            connection.sendall(b"x")

    wire.script = drip
    started = time.monotonic()
    result = hasty.post_message(SENDER, PAYLOAD)
    over.set()
    # It ended before the drip did, which never does.
    assert time.monotonic() - started > 0.4
    assert (result.result, result.reason) == ("in_doubt", "no_answer")


def test_silence_is_in_doubt_and_is_not_asked_twice(wire: WireServer, hasty: GraphClient) -> None:
    wire.script = lambda connection, request: None
    result = hasty.post_message(SENDER, PAYLOAD)
    assert (result.result, result.reason) == ("in_doubt", "no_answer")
    assert len(wire.requests) == 1


def test_a_redirect_is_not_followed(wire: WireServer, client: GraphClient) -> None:
    wire.script = answer(302, b"", f"Location: {wire.url}/elsewhere")
    assert client.post_message(SENDER, PAYLOAD).result == "in_doubt"
    assert len(wire.requests) == 1


def test_an_endless_answer_is_cut_off(wire: WireServer, client: GraphClient) -> None:
    wire.script = answer(200, b"x" * 600_000)
    assert client.post_message(SENDER, PAYLOAD).result == "in_doubt"


def test_the_environments_proxy_gets_no_token(
    wire: WireServer, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client.post_message(SENDER, PAYLOAD).result == "sent"


def test_a_sender_shows_no_secret() -> None:
    assert "EAA" not in repr(SENDER)
    assert "secret" not in repr(SENDER)


def test_a_profile_is_read(wire: WireServer, client: GraphClient) -> None:
    wire.script = answer(200, b'{"first_name": "Ana", "timezone": -7, "locale": "en_US", "id": "24"}')
    read = client.read_profile(SENDER, "24")
    assert read.outcome == "read"
    assert read.profile == {"first_name": "Ana", "timezone": -7, "locale": "en_US"}
    assert wire.requests[0].startswith(b"GET /v26.0/24?fields=first_name")


@pytest.mark.parametrize(
    ("status", "body", "outcome", "bad_token"),
    [
        (200, b"{}", "unavailable", False),  # may not be read
        (200, b'{"id": "24"}', "unavailable", False),
        (400, b'{"error": {"code": 100, "error_subcode": 33}}', "unavailable", False),
        (400, b'{"error": {"code": 190}}', "retry", True),
        (400, b'{"error": {"code": 4}}', "throttled", False),
        (429, b"", "throttled", False),
        (500, b"oops", "retry", False),
        (400, b'{"error": {"code": 10}}', "forbidden", False),
    ],
)
def test_a_profile_that_cannot_be_read_says_whether_to_ask_again(
    wire: WireServer, client: GraphClient, status: int, body: bytes, outcome: str, bad_token: bool
) -> None:
    wire.script = answer(status, body)
    read = client.read_profile(SENDER, "24")
    assert (read.outcome, read.profile, read.bad_token) == (outcome, None, bad_token)
