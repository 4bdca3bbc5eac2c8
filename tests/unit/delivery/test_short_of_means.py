"""A worker process without descriptors or memory: its messages are given back, and no page hears of it."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.delivery.test_send_api_client import PAYLOAD, SENDER
from workers import posting
from workers.follow_up import NOBODYS_FAULT
from workers.send_api.client import NO_MEANS, GraphClient


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Those that are open are all there are."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_nothing_is_sent_and_the_platform_is_not_blamed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    client = GraphClient(address, "v26.0", connections=4, deadline=30.0)
    try:
        with no_more_descriptors():
            answer = client.post_message(SENDER, PAYLOAD)
        assert (answer.kind, answer.reason, answer.retry) == ("not_sent", NO_MEANS, True)
        assert NO_MEANS in NOBODYS_FAULT
        # Where it has descriptors, and nobody is there, it is the platform.
        assert client.post_message(SENDER, PAYLOAD).reason == "unreachable_platform"
    finally:
        client.close()


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(24, "Too many open files")])
def test_what_fails_before_a_byte_has_left_is_given_back(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    def fails(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(posting, "build_payload", fails)
    finished = posting.post(_errand(), None, None)  # type: ignore[arg-type]  # nothing gets that far
    assert (finished.answer.kind, finished.answer.reason) == ("not_sent", NO_MEANS)
    monkeypatch.setattr(posting, "build_payload", lambda *_: {}["missing"])
    # Of a mistake of ours nobody knows how far it got.
    assert posting.post(_errand(), None, None).answer.kind == "in_doubt"  # type: ignore[arg-type]


def _errand() -> Any:
    begun = SimpleNamespace(psid="24", content=None, metadata="", token=None)
    return SimpleNamespace(begun=begun, decided_at=float("inf"))
