from __future__ import annotations

import threading

import pytest

from scheduler.api import webhook_bell
from scheduler.api.webhook_bell import Bell
from tests.patience import patience


def test_it_rings_at_once_and_once_more_for_all_that_ask_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[str, ...]] = []
    ringing, go_on = threading.Event(), threading.Event()

    def ring(*tasks: str) -> None:
        rung.append(tasks)
        ringing.set()
        assert go_on.wait(patience(10))

    monkeypatch.setattr(webhook_bell, "ring", ring)
    bell = Bell("deliver", "plan")
    bell.ring()
    assert ringing.wait(patience(10))
    for _ in range(100):
        bell.ring()
    go_on.set()
    bell.close()
    assert rung == [("deliver", "plan")] * 2


def test_nobody_rings_where_nobody_asked_nor_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[str, ...]] = []
    monkeypatch.setattr(webhook_bell, "ring", lambda *tasks: rung.append(tasks))
    bell = Bell("deliver")
    bell.close()
    bell.ring()
    bell.close()
    assert rung == []
