"""Each attack in turn on a running stack, a signed STOP every 100 ms beside it, and what came of the STOPs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.attack.attacks import Attack, begin
from tests.attack.target import PAGE, SECRET, Target
from tests.patience import slowness, wait_until

#: Milliseconds in which 99 of 100 STOPs are answered, on a quick machine.
BOUND_MS = 1000.0
#: Times as much memory as when nothing came in.
MEMORY = 2.0
_FIRST = 9_000_000_000_000_000
#: Numbers of people that one attack may use up.
_EACH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the STOPs that were said during one attack."""

    attack: str
    said: int
    acknowledged: int
    #: Acknowledged, and not in force.
    lost: int
    median_ms: float
    p99_ms: float
    #: The most that the web process took, as a multiple of what it took before.
    memory: float

    def failures(self) -> list[str]:
        """What did not hold."""
        found = []
        if self.acknowledged < self.said:
            found.append(f"{self.said - self.acknowledged} of {self.said} STOPs were not acknowledged")
        if self.lost:
            found.append(f"{self.lost} acknowledged STOPs are not in force")
        if self.p99_ms > BOUND_MS * slowness():
            found.append(f"99 of 100 STOPs took up to {self.p99_ms:.0f} ms")
        if self.memory > MEMORY:
            found.append(f"the web process took {self.memory:.1f} times its memory")
        return found


def run(target: Target, attacks: Sequence[Attack], seconds: float, say: Callable[[Outcome], None]) -> list[Outcome]:
    """Each of ``attacks`` for ``seconds``. ``say`` is told of each when it is over."""
    with _witness(target, _FIRST) as ended:
        # The first of everything is slower.
        time.sleep(min(2.0, seconds))
    ended()
    idle = target.memory()
    found = []
    for number, attack in enumerate(attacks, start=1):
        outcome = _one(target, attack, seconds, _FIRST + number * _EACH, idle)
        say(outcome)
        found.append(outcome)
    return found


def _one(target: Target, attack: Attack, seconds: float, first: int, idle: int) -> Outcome:
    over, most = threading.Event(), idle
    with _witness(target, first) as ended:
        pool = begin(attack, target, over)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            most = max(most, target.memory())
            time.sleep(0.1)
    answers = ended()
    over.set()
    pool.shutdown()
    acknowledged = [psid for psid, _, status in answers if status == 200]
    wait_until(lambda: set(acknowledged) <= target.stopped(acknowledged), seconds=5)
    took = sorted(ms for _, ms, _ in answers)
    return Outcome(
        attack=attack.name, said=len(answers), acknowledged=len(acknowledged),
        lost=len(set(acknowledged) - target.stopped(acknowledged)), median_ms=took[len(took) // 2],
        p99_ms=took[int(len(took) * 0.99)], memory=most / idle,
    )  # fmt: skip


@contextmanager
def _witness(target: Target, first: int) -> Iterator[Callable[[], list[tuple[str, float, int | None]]]]:
    """Somebody says STOP every 100 ms as long as this is entered; then: who, how long it took, what the answer was."""
    argv = [sys.executable, "-m", "tests.attack.witness", target.host, str(target.port), SECRET, PAGE, str(first)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        said: list[str] = []
        yield lambda: [tuple(json.loads(line)) for line in said]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        said += process.stdout.read().splitlines()
