"""A process that is in trouble itself books nothing as an event's fault: the platform delivers again."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from sqlalchemy.exc import InterfaceError, OperationalError

from scheduler.inbox import effects
from scheduler.own_trouble import own_trouble, short_of_something
from tests.forked import start_web
from tests.integration.front.conftest import SECRET, envelope, sign
from tests.patience import patience

TROUBLES = [
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOSPC, "No space left on device"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    InterfaceError("SELECT 1", None, psycopg.InterfaceError("connection already closed")),
    OperationalError("SELECT 1", None, psycopg.errors.DiskFull("could not extend file")),
]


@pytest.mark.parametrize(
    "trouble", TROUBLES, ids=[f"{number}-{type(each).__name__}" for number, each in enumerate(TROUBLES)]
)
def test_trouble_while_events_are_applied_is_answered_503_and_nothing_is_kept(
    page: Any, deliver: Any, say: Any, row: Any, opted_out: Any, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    assert deliver(say("7")).status_code == 200

    def fails(*_: object, **__: object) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(effects, "record_choices", fails)
        stop = say("7", "STOP")
        answer = deliver(stop)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["Retry-After"]
        assert row("SELECT count(*) FROM platform_event WHERE error IS NOT NULL")[0] == 0
        assert row("SELECT count(held_at) FROM contact")[0] == 0
    assert deliver(stop).json() == {"received": 1, "known": 0, "failed": 0}
    assert opted_out("7")


def test_what_is_the_event_s_own_fault_is_still_booked_as_that(
    page: Any, deliver: Any, say: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("nobody thought of that")

    monkeypatch.setattr(effects, "record_choices", fails)
    assert deliver(say("7", "STOP")).json() == {"received": 1, "known": 0, "failed": 1}
    assert row("SELECT error FROM platform_event")[0] == "unexpected KeyError"


def test_one_body_for_which_there_is_no_memory_takes_no_other_with_it(
    page: Any, client: Any, deliver: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scheduler.api import webhook_groups

    reading = webhook_groups.read_json

    def read(raw: bytes) -> object:
        if b"cursed" in raw:
            raise MemoryError
        return reading(raw)

    monkeypatch.setattr(webhook_groups, "read_json", read)
    assert deliver(say("7", "cursed")).status_code == 503
    assert deliver(say("8", "STOP")).status_code == 200


def test_a_webhook_for_which_no_thread_can_be_started_is_answered_503(
    page: Any, deliver: Any, say: Any, opted_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("webhooks-"):
            raise RuntimeError("can't start new thread")
        starting(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert deliver(say("7", "STOP")).status_code == 503
    assert deliver(say("7", "STOP")).status_code == 200
    assert opted_out("7")


def test_without_descriptors_webhooks_are_answered_503_and_taken_when_there_are_some_again(
    page: Any, say: Any, row: Any, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    process = start_web(port, environment=dict(os.environ), log=tmp_path / "web.log")
    assert process.pid is not None
    url = f"http://127.0.0.1:{port}"
    connection = requests.Session()

    def up() -> bool:
        try:
            return connection.get(f"{url}/healthz", timeout=patience(2)).ok
        except requests.RequestException:
            return False

    def deliver(event: object) -> int:
        body = envelope(event)
        headers = {"X-Hub-Signature-256": sign(body, SECRET)}
        return connection.post(
            f"{url}/webhooks/messenger", data=body, headers=headers, timeout=patience(30)
        ).status_code

    try:
        eventually(up, seconds=60, what="the web process answering")
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        # Those that it has are all it gets: it has made no connection for webhooks yet, and cannot make one.
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (1, before[1]))
        assert deliver(say("7", "STOP")) == 503
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        assert row("SELECT count(*) FROM platform_event")[0] == 0
        assert deliver(say("7", "STOP")) == 200
        assert row("SELECT count(*) FROM suppression")[0] == 1
    finally:
        process.terminate()
        process.join(patience(15))
        process.close()


def test_whose_fault_it_is_shows_through_what_an_error_was_raised_from() -> None:
    outer = LookupError("no certificate")
    outer.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert own_trouble(outer)
    assert short_of_something(outer)
    assert not own_trouble(ValueError("3"))
    assert not short_of_something(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
