"""``make attack``, small: an attack of each kind, and one that must not be held, or the witness sees nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.attack.attacks import ATTACKS, Attack
from tests.attack.run import run
from tests.attack.target import Target

pytestmark = pytest.mark.attack

#: One of each kind; ``make attack`` has them all.
_KINDS = (
    "endless headers", "500 connections that say nothing", "300 connections with slow bodies",
    "answers that nobody reads", "endless bodies to the API", "deep JSON without a key", "forged signatures",
    "wrong keys", "readiness again and again", "opening braces in a template (key)",
    "a range in a template (key)", "half a million wrong items (key)", "junk in the broker",
)  # fmt: skip


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with Target(tmp_path_factory.mktemp("attack") / "data") as started:
        yield started


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", _KINDS)
def test_every_stop_is_heard_under(name: str, target: Target) -> None:
    attack = next(each for each in ATTACKS if each.name == name)
    (outcome,) = run(target, [attack], 4.0, lambda _: None)
    assert outcome.failures() == [], outcome
    # A run in which nobody said anything would prove nothing.
    assert outcome.said >= 10


def test_the_witness_notices_a_web_process_that_does_not_answer(target: Target) -> None:
    pid = target.stack.processes["web"]

    def freeze(_: Target, over: threading.Event) -> None:
        os.kill(pid, signal.SIGSTOP)
        over.wait(3.0)
        os.kill(pid, signal.SIGCONT)

    (outcome,) = run(target, [Attack("a frozen web process", 1, freeze)], 4.0, lambda _: None)
    assert any("99 of 100" in words for words in outcome.failures()), outcome
