"""How long it stays silent when a part is lost: one worker, steady work, one loss at a time."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.chaos.city import City
from tests.chaos.load import Load
from tests.patience import patience
from workers.sandbox.log import read_log

#: What is lost, with the bound in real seconds that 95 % of the recoveries must keep.
BOUNDS = {"worker": 10.0, "beat": 10.0, "redis": 10.0, "postgres": 15.0}
#: Real seconds that are watched after each loss.
_WATCH = 16.0
#: Messages a second of a page meanwhile: slow, so that there is always something to send.
_PAGE_RATE = 3


def measure(
    city: City, load: Load, times: int, tell: Callable[[str], None], *, note: Callable[[], int]
) -> dict[str, list[float]]:
    """Lose each part ``times`` times; part → the longest silence of the platform after each loss, real seconds."""
    chance = random.Random(f"{load.seed}:recovery")
    for page in load.pages:
        city.api.call("PATCH", f"/pages/{page['id']}", {"rate": _PAGE_RATE})
    over = threading.Event()
    people = [person for person in load.people if person.psid not in load.stopped] or load.people
    feeder = threading.Thread(target=_feed, args=(load, people, chance, over))
    feeder.start()
    losses: list[tuple[str, float]] = []
    try:
        time.sleep(5)
        # In turn, so that no part is lost twice within a minute: a supervisor waits longer each time.
        for _ in range(times):
            for part in BOUNDS:
                note()
                tell(f"{part} is lost")
                losses.append((part, clock_of_machine()))
                city.signal(part, signal.SIGINT if part == "postgres" else signal.SIGKILL, whole=part == "worker")
                time.sleep(_WATCH)
    finally:
        over.set()
        feeder.join(patience(60))
        for page in load.pages:
            city.api.call("PATCH", f"/pages/{page['id']}", {"rate": load.page_rate})
    found: dict[str, list[float]] = {part: [] for part in BOUNDS}
    for part, at in losses:
        silence = silence_after(city.stack.sandbox_log, at, _WATCH)
        tell(f"{part}: silent for {silence:.1f} s")
        found[part].append(round(silence, 2))
    return found


def clock_of_machine() -> float:
    """Unix time, as the sandbox's log has it."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def silence_after(log: Path, at: float, seconds: float) -> float:
    """The longest time without an accepted message that ends after ``at`` and begins before ``at + seconds``."""
    accepted = [record["real"] for record in read_log(log) if record["kind"] == "answer" and record.get("mid")]
    later = [real for real in accepted if real > at]
    gaps = [after - before for before, after in pairwise([at, *later]) if before < at + seconds]
    return max(gaps, default=float("inf"))


def _feed(load: Load, people: list, chance: random.Random, over: threading.Event) -> None:
    """Keep about ten seconds of work waiting."""
    while not over.wait(0.2):
        [(waiting,)] = load.city.query(
            """SELECT (SELECT count(*) FROM message WHERE state IN ('scheduled', 'due'))
                    + (SELECT count(*) FROM business_event WHERE planned_at IS NULL)"""
        )
        for _ in range(max(0, _PAGE_RATE * len(load.pages) * 10 - waiting)):
            if over.is_set():
                return
            load.ship(chance.choice(people))


def p95(times: list[float]) -> float:
    """The time that 95 % keep; of fewer than twenty, the longest."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def late(recoveries: dict[str, list[float]]) -> list[str]:
    """Which parts took longer than they may."""
    return [
        f"{part}: first send after {p95(times):.1f} s at p95, {BOUNDS[part]:.0f} s at most"
        for part, times in recoveries.items()
        if times and p95(times) > BOUNDS[part]
    ]
