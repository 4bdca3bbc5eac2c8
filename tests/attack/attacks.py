"""The attacks: each does its worst from a few threads until it is told to end. They need no key unless they say so."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import redis

from tests.attack.target import PAGE, SECRET, Target
from tests.attack.witness import signed

#: Given the target, and what says that it is over.
Work = Callable[[Target, threading.Event], None]
_TROUBLE = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to keep the web process from hearing a STOP."""

    name: str
    #: How many do it at once.
    threads: int
    work: Work


def _repeated(once: Callable[[Target], object]) -> Work:
    """Again and again; what goes wrong for the attacker is the attacker's trouble."""

    def work(target: Target, over: threading.Event) -> None:
        while not over.is_set():
            with suppress(*_TROUBLE):
                once(target)

    return work


def _head(*lines: str, method: str = "POST", path: str = "/webhooks/messenger") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: duly", *lines]).encode() + b"\r\n"


# Connections


def _endless_headers(target: Target, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(*_TROUBLE), target.connect() as line:
            line.sendall(_head())
            while not over.is_set():
                line.sendall(b"X-More: " + b"a" * 8000 + b"\r\n")


def _one_endless_header(target: Target, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(*_TROUBLE), target.connect() as line:
            line.sendall(_head() + b"X-Long: ")
            while not over.is_set():
                line.sendall(b"a" * 65536)


def _endless_target(target: Target, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(*_TROUBLE), target.connect() as line:
            line.sendall(b"GET /")
            while not over.is_set():
                line.sendall(b"a" * 65536)


def _held(first: bytes, more: bytes, *, lines: int) -> Work:
    """``lines`` connections that say ``first``, and ``more`` each second; one that was closed is opened again."""

    def work(target: Target, over: threading.Event) -> None:
        held: list[socket.socket] = []
        while not over.is_set():
            alive = []
            for line in held:
                try:
                    if more:
                        line.sendall(more)
                    alive.append(line)
                except OSError:
                    line.close()
            held = alive
            while len(held) < lines and not over.is_set():
                try:
                    line = target.connect(2.0)
                    line.sendall(first)
                    held.append(line)
                except OSError:
                    break
            over.wait(1.0)
        for line in held:
            line.close()

    return work


def _never_reads(target: Target, over: threading.Event) -> None:
    with ExitStack() as held:
        while not over.is_set():
            with suppress(*_TROUBLE):
                line = held.enter_context(target.connect())
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                line.settimeout(0.5)
                line.sendall(_head(method="GET", path="/healthz") + b"\r\n")
                for _ in range(2000):
                    line.sendall(_head(method="GET", path="/nothing/of/this/name") + b"\r\n")
            over.wait(0.05)


def _hangs_up(target: Target, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(*_TROUBLE), target.connect() as line:
            line.sendall(_head("Content-Length: 1000"))
            # A reset instead of an orderly end.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _pipelines(target: Target) -> None:
    with target.connect() as line:
        line.sendall((_head(method="GET", path="/healthz") + b"\r\n") * 500)
        while line.recv(65536):
            pass


# Bodies


def _body(path: str, body: bytes, **headers: str) -> Callable[[Target], object]:
    def once(target: Target) -> None:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            connection.getresponse().read()
        finally:
            connection.close()

    return once


def _endless_body(path: str) -> Work:
    def work(target: Target, over: threading.Event) -> None:
        chunk = b"10000\r\n" + b"[" * 65536 + b"\r\n"
        while not over.is_set():
            with suppress(*_TROUBLE), target.connect() as line:
                line.sendall(_head("Transfer-Encoding: chunked", "Content-Type: application/json", path=path) + b"\r\n")
                while not over.is_set():
                    line.sendall(chunk)

    return work


def _forged(target: Target) -> None:
    body = json.dumps({"object": "page", "entry": [{"id": PAGE, "time": 1, "messaging": [{}] * 900}]}).encode()
    _body("/webhooks/messenger", body, **{"X-Hub-Signature-256": "sha256=" + "0" * 64})(target)


def _signed_nonsense(target: Target) -> None:
    body = b'{"object":"page","entry":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    _body("/webhooks/messenger", body, **signed(SECRET, body))(target)


# Requests


def _get(path: str) -> Callable[[Target], object]:
    def once(target: Target) -> None:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        finally:
            connection.close()

    return once


def _wrong_key(target: Target) -> None:
    target.ask("GET", "/pages", key="duly_" + "0" * 40)


def _keyed(method: str, path: str, body: object) -> Callable[[Target], object]:
    made = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda target: target.ask(method, path, made)


def _template(text: str) -> dict[str, object]:
    return {"name": "bomb", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": text}}}


def _junk_in_the_broker(target: Target, over: threading.Event) -> None:
    with redis.Redis.from_url(target.stack.redis_url, socket_timeout=5) as client:
        while not over.is_set():
            with suppress(redis.RedisError):
                client.lpush("celery", "hello", b"\x80\x04\x95", '{"body": 1}')
            over.wait(0.2)


_TEMPLATES = f"/pages/{PAGE}/templates"
#: In the order in which they are tried.
ATTACKS = (
    Attack("endless headers", 6, _endless_headers),
    Attack("one endless header", 6, _one_endless_header),
    Attack("an endless address", 6, _endless_target),
    Attack("500 connections that say nothing", 1, _held(b"", b"", lines=500)),
    Attack("300 connections with slow headers", 1, _held(_head(), b"X-Slow: 1\r\n", lines=300)),
    Attack(
        "300 connections with slow bodies", 1,
        _held(_head("Content-Length: 100000", "X-Hub-Signature-256: sha256=" + "0" * 64) + b"\r\n", b"{", lines=300),
    ),
    Attack("answers that nobody reads", 4, _never_reads),
    Attack("connections that are reset", 4, _hangs_up),
    Attack("500 requests at once on a connection", 4, _repeated(_pipelines)),
    Attack("endless bodies to the webhook", 4, _endless_body("/webhooks/messenger")),
    Attack("endless bodies to the API", 4, _endless_body(f"/api/v1{_TEMPLATES}")),
    Attack("deep JSON without a key", 4, _repeated(_body(f"/api/v1{_TEMPLATES}", b"[" * 200_000))),
    Attack("forged signatures", 4, _repeated(_forged)),
    Attack("signed nonsense", 2, _repeated(_signed_nonsense)),
    Attack("wrong keys", 6, _repeated(_wrong_key)),
    Attack("wrong verify tokens", 4, _repeated(
        _get("/webhooks/messenger?hub.mode=subscribe&hub.challenge=1&hub.verify_token=guess")
    )),
    Attack("readiness again and again", 8, _repeated(_get("/readyz"))),
    Attack("opening braces in a template (key)", 4, _repeated(_keyed("POST", _TEMPLATES, _template("{{" * 3000)))),
    Attack("opening tags in a template (key)", 4, _repeated(_keyed("POST", _TEMPLATES, _template("{%" * 3000)))),
    Attack("a range in a template (key)", 4, _repeated(_keyed("POST", _TEMPLATES, _template(
        "{% liquid assign x = (1..30000000) | join: 'xxxxxxxx' %}{{ x }}"
    )))),
    Attack("loops in loops in a template (key)", 4, _repeated(_keyed("POST", _TEMPLATES, _template(
        "{% for a in (1..9999) %}{% for b in (1..9999) %}{% for c in (1..9999) %}x{% endfor %}{% endfor %}{% endfor %}"
    )))),
    Attack("half a million wrong items (key)", 2, _repeated(
        _keyed("PATCH", f"/pages/{PAGE}", {"allow": [0] * 500_000})
    )),
    Attack("deep JSON (key)", 4, _repeated(_keyed("POST", _TEMPLATES, b"[" * 200_000 + b"]" * 200_000))),
    Attack("numbers of a million digits (key)", 2, _repeated(
        _keyed("POST", _TEMPLATES, b'{"name":' + b"9" * 1_000_000 + b"}")
    )),
    Attack("a policy of brackets (key)", 4, _repeated(
        _keyed("POST", f"/pages/{PAGE}/policy", {"document": "a = " + "[" * 50_000})
    )),
    Attack("heavy reads (key)", 8, _repeated(_keyed("GET", "/messages/summary", b""))),
    Attack("junk in the broker", 1, _junk_in_the_broker),
)  # fmt: skip


def by_name(words: str) -> list[Attack]:
    """Those whose name has these words; all for none."""
    return [attack for attack in ATTACKS if words in attack.name]


def begin(attack: Attack, target: Target, over: threading.Event) -> ThreadPoolExecutor:
    """Begin it; the caller sets ``over`` and shuts the pool down."""
    pool = ThreadPoolExecutor(attack.threads)
    for _ in range(attack.threads):
        pool.submit(attack.work, target, over)
    return pool
