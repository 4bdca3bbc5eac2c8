"""A connection is used again only after an answer that ended as an answer should: nobody gets a neighbour's."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.patience import patience, wait_until
from tests.unit.delivery.wire import Script, WireServer, message_of
from workers.send_api import transport
from workers.send_api.answers import Answer
from workers.send_api.client import GraphClient, Sender
from workers.send_api.transport import watch

SENDER = Sender("1234", "EAAtoken", "secret")


@pytest.fixture
def client(wire: WireServer) -> Iterator[GraphClient]:
    made = GraphClient(wire.url, "v26.0", connections=4, deadline=20.0)
    yield made
    made.close()


def psid(number: int) -> str:
    return f"{number:016d}"


def send(client: GraphClient, number: int, *, last_word: Callable[[], str | None] | None = None) -> Answer:
    payload = {"recipient": {"id": psid(number)}, "message": {"text": "hello"}}
    return client.post_message(SENDER, payload, last_word=last_word)


def mid_for(request: bytes) -> str:
    return f"m_{message_of(request)['recipient']['id']}"


def body_for(request: bytes) -> bytes:
    """The acceptance of this request."""
    return json.dumps({"recipient_id": message_of(request)["recipient"]["id"], "message_id": mid_for(request)}).encode()


def accepted(request: bytes, *headers: str, version: str = "1.1") -> bytes:
    body = body_for(request)
    return "\r\n".join([f"HTTP/{version} 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def chunked(request: bytes, *, end: bytes = b"0\r\n\r\n", headers: bytes = b"") -> bytes:
    body = body_for(request)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers + b"\r\n"
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n" + end


def _interim(*statuses: int) -> bytes:
    return b"".join(f"HTTP/1.1 {status} Wait\r\nLink: </x>; rel=preload\r\n\r\n".encode() for status in statuses)


def _says(made: Callable[[bytes], bytes]) -> Script:
    return lambda connection, request: connection.sendall(made(request))


def _in_two(first: Callable[[bytes], bytes], second: Callable[[bytes], bytes]) -> Script:
    """Two writes, the second once the first can have been read by itself."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(first(request))
        threading.Event().wait(0.15)
        connection.sendall(second(request))

    return script


#: What somebody else's message got.
_STRAY = b'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"recipient_id": "0000000000000999", "message_id": "m_stray"}'

#: Answers to a message → whether its id is learned from it, and whether the connection may be used again.
ANSWERS: dict[str, tuple[Script, bool, bool]] = {
    "plain": (_says(accepted), True, True),
    "103, then 200": (_says(lambda r: _interim(103) + accepted(r)), True, True),
    "103, and 200 a moment later": (_in_two(lambda r: _interim(103), accepted), True, True),
    "102": (_says(lambda r: _interim(102) + accepted(r)), True, True),
    "100": (_says(lambda r: _interim(100) + accepted(r)), True, True),
    "several interim answers": (_says(lambda r: _interim(100, 102, 103, 103, 199) + accepted(r)), True, True),
    "interim answers without end": (_says(lambda r: _interim(*[103] * 40) + accepted(r)), False, False),
    "an interim answer with a body": (
        _says(lambda r: b"HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhello" + accepted(r)), False, False,
    ),
    "101": (_says(lambda r: b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n" + accepted(r)), False, False),
    "204 with a body": (
        _says(lambda r: b"HTTP/1.1 204 No\r\nContent-Length: 24\r\n\r\n" + b'{"message_id":"m_stray"}'), False, False,
    ),
    "204 and then another answer": (_says(lambda r: b"HTTP/1.1 204 No\r\n\r\n" + _STRAY), False, False),
    "304 with a body": (
        _says(lambda r: b"HTTP/1.1 304 No\r\nContent-Length: 24\r\n\r\n" + b'{"message_id":"m_stray"}'), False, False,
    ),
    "205": (_says(lambda r: b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"), False, False),
    "two answers at once": (_says(lambda r: accepted(r) + _STRAY), True, False),
    "two answers, one after the other": (_in_two(accepted, lambda r: _STRAY), True, False),
    "bytes after the body": (_says(lambda r: accepted(r) + b"\r\n"), True, False),
    "more body than announced": (
        _says(lambda r: accepted(r).replace(body_for(r), body_for(r) + b"and more")), True,
        False,
    ),
    "chunks": (_says(chunked), True, True),
    "chunks with trailers": (_says(lambda r: chunked(r, end=b"0\r\nX-Checked: yes\r\nX-B: 2\r\n\r\n")), True, True),
    "chunks, and then another answer": (_says(lambda r: chunked(r) + _STRAY), True, False),
    "chunks and a length": (_says(lambda r: chunked(r, headers=b"Content-Length: 24\r\n")), True, False),
    "HTTP/1.0": (_says(lambda r: accepted(r, version="1.0")), True, False),
    "HTTP/1.0, kept alive": (_says(lambda r: accepted(r, "Connection: keep-alive", version="1.0")), True, False),
    "Connection: close": (_says(lambda r: accepted(r, "Connection: close")), True, False),
    "Connection: close, and more": (_says(lambda r: accepted(r, "Connection: close") + _STRAY), True, False),
    "two lengths": (_says(lambda r: accepted(r, "Content-Length: 1")), False, False),
    "no HTTP at all": (_says(lambda r: b"SSH-2.0-OpenSSH\r\n\r\n"), False, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_the_answer_the_next_message_gets_its_own(wire: WireServer, client: GraphClient, name: str) -> None:
    script, learned, again = ANSWERS[name]
    wire.script = script
    first = send(client, 1)
    assert (first.result, first.mid) == (("sent", f"m_{psid(1)}") if learned else ("in_doubt", None))
    wire.script = _says(accepted)
    if name == "two answers, one after the other":
        assert wire.settled()
    second = send(client, 2)
    assert (second.result, second.mid) == ("sent", f"m_{psid(2)}")
    assert (wire.connections == 1) == again, name


@pytest.mark.parametrize("end", ["closes", "shuts down", "resets"])
@pytest.mark.parametrize("cut", ["in the body", "in a chunk", "before the last chunk", "in the head"])
def test_an_answer_cut_short_spoils_no_other(wire: WireServer, client: GraphClient, cut: str, end: str) -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        whole = {
            "in the body": accepted(request)[:-10],
            "in a chunk": chunked(request)[:-20],
            "before the last chunk": chunked(request)[:-5],
            "in the head": accepted(request)[:20],
        }[cut]
        connection.sendall(whole)
        if end == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR) if end == "shuts down" else connection.close()

    wire.script = script
    assert send(client, 1).result == "in_doubt"
    wire.script = _says(accepted)
    assert send(client, 2).mid == f"m_{psid(2)}"


def test_forty_messages_side_by_side_each_get_their_own_id(wire: WireServer, client: GraphClient) -> None:
    """Answers of every kind above in turn, on connections that four threads share."""
    kinds = list(ANSWERS)
    wire.script = lambda connection, request: ANSWERS[kinds[int(message_of(request)["recipient"]["id"]) % len(kinds)]][
        0
    ](connection, request)
    answers: dict[int, Answer] = {}

    def thread(start: int) -> None:
        for number in range(start, 40, 4):
            answers[number] = send(client, number)

    threads = [threading.Thread(target=thread, args=(start,)) for start in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(patience(60))
    assert len(answers) == 40
    for number, answer in answers.items():
        assert answer.mid in (None, f"m_{psid(number)}"), answer
    told = {number for number in answers if ANSWERS[kinds[number % len(kinds)]][1]}
    late = sum(kinds[number % len(kinds)] == "two answers, one after the other" for number in answers)
    # A second answer that comes while the next message is on its way is found out by whom it names.
    assert sum(answers[number].result != "sent" for number in told) <= late


def test_an_answer_that_comes_before_the_request_is_nobodys(wire: WireServer, client: GraphClient) -> None:
    """While the page's rate is asked for, something arrives on the connection that was taken from the pool."""
    assert send(client, 1).result == "sent"

    def stray() -> None:
        wire.send(_STRAY)
        assert wire.settled()

    result = send(client, 2, last_word=stray)
    # Nothing has left: it goes again.
    assert (result.result, result.reason, result.retry) == ("not_sent", "unreachable_platform", True)
    assert len(wire.requests) == 1
    assert send(client, 2).mid == "m_1"
    assert wire.connections == 2


def test_a_connection_on_which_the_other_side_begins_is_not_written_to(
    wire: WireServer, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.greeting = _STRAY
    connects, connect = [], transport._PlainConnection.connect

    def counted(connection: transport._PlainConnection) -> None:
        connects.append(connection)
        connect(connection)

    monkeypatch.setattr(transport._PlainConnection, "connect", counted)

    def greeted() -> None:
        assert wait_until(lambda: wire.connections == len(connects), seconds=10)

    result = send(client, 1, last_word=greeted)
    assert (result.result, result.reason) == ("not_sent", "unreachable_platform")
    assert wire.requests == []
    assert not watch.written


def test_a_connection_that_the_other_side_closed_is_replaced_before_anything_leaves(
    wire: WireServer, client: GraphClient
) -> None:
    wire.script = _says(accepted)
    assert send(client, 1).result == "sent"
    wire.hang_up()
    assert send(client, 2).mid == f"m_{psid(2)}"
    assert wire.connections == 2


@pytest.mark.parametrize("told", [psid(9), int(psid(9)) + 10**15])
def test_an_acceptance_that_names_another_person_is_not_ours(
    wire: WireServer, client: GraphClient, told: object
) -> None:
    body = json.dumps({"recipient_id": told, "message_id": "m_9"}).encode()
    wire.script = _says(lambda r: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    result = send(client, 1)
    assert (result.result, result.reason, result.mid) == ("in_doubt", "answer_to_another", None)


def test_over_tls_a_connection_is_kept_and_a_stray_answer_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS sends messages of its own after the handshake: those are no stray answer."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    server = WireServer(tls=context)
    client = GraphClient(f"https://127.0.0.1:{server.port}", "v26.0", connections=2, deadline=20.0)
    try:
        server.script = _says(accepted)
        for number in (1, 2):
            assert send(client, number).mid == f"m_{psid(number)}"
        assert server.connections == 1
        server.script = _says(lambda r: accepted(r) + _STRAY)
        assert send(client, 3).mid == f"m_{psid(3)}"
        server.script = _says(accepted)
        assert send(client, 4).mid == f"m_{psid(4)}"
        assert server.connections == 2
    finally:
        client.close()
        server.close()
