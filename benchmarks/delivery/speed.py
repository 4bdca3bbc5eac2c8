"""One worker child with everything, against a bare loop of ``requests`` in as many threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.delivery import machine
from benchmarks.delivery.stage import Bare, Platform, Stage, Worker
from scheduler.store.process import wait_until

#: (threads, milliseconds of latency) → the least share of the bare loop's rate that is asked for.
SHAPES: dict[tuple[int, int], float] = {(64, 50): 0.90, (128, 50): 0.80, (32, 0): 0.75}
#: A bare loop counts only if it comes so near to what it could do.
_BARE_ENOUGH = 0.95
CPU_AT_MOST = 1.25


@dataclass(slots=True)
class Rate:
    """What one side did in its window."""

    per_second: float
    cpu_us: float
    full: float
    others: float


@dataclass(slots=True)
class Shape:
    """One shape's figures, round by round."""

    threads: int
    latency: int
    bare: list[Rate] = field(default_factory=list)
    ours: list[Rate] = field(default_factory=list)
    doubled: int = 0

    @property
    def share(self) -> float:
        """Our rate over the bare loop's, the median of rounds."""
        return statistics.median(
            our.per_second / bare.per_second for our, bare in zip(self.ours, self.bare, strict=True)
        )

    @property
    def cpu(self) -> float:
        """Our processor time a message over the bare loop's, the median of rounds."""
        return statistics.median(our.cpu_us / bare.cpu_us for our, bare in zip(self.ours, self.bare, strict=True))

    @property
    def bare_counts(self) -> bool:
        """Whether every bare loop reached what its threads can do, or filled its core."""
        most = self.threads / (self.latency / 1000) if self.latency else float("inf")
        return all(bare.per_second >= _BARE_ENOUGH * most or bare.full >= _BARE_ENOUGH for bare in self.bare)

    def as_json(self) -> dict[str, object]:
        return {
            "threads": self.threads, "latency_ms": self.latency, "asked": SHAPES.get((self.threads, self.latency)),
            "share": round(self.share, 3), "cpu_times_bare": round(self.cpu, 3), "bare_counts": self.bare_counts,
            "bare_per_second": [round(each.per_second) for each in self.bare],
            "ours_per_second": [round(each.per_second) for each in self.ours],
            "bare_cpu_us": [round(each.cpu_us) for each in self.bare],
            "ours_cpu_us": [round(each.cpu_us) for each in self.ours],
            "bare_core_full": [round(each.full, 2) for each in self.bare],
            "core_of_others": [round(each.others, 2) for each in (*self.bare, *self.ours)], "doubled": self.doubled,
        }  # fmt: skip


def measure(
    stage: Stage, threads: int, latency: int, *, rounds: int, seconds: float, say: Callable[[str], None]
) -> Shape:
    """Bare and ours in turns, so that what else the machine does hits both."""
    shape = Shape(threads, latency)
    for number in range(rounds):
        with Platform(latency) as platform, Bare(platform.url, threads) as bare:
            if not wait_until(lambda: platform.tally()["requests"] > threads * 4, seconds=30):
                raise RuntimeError("the bare loop does not get through")
            shape.bare.append(_window(platform, bare.process.pid, seconds))
        with Platform(latency) as platform:
            # Enough that the window never sees the end.
            wanted = int(shape.bare[-1].per_second * (seconds + 6) * 1.2) + 2000
            stage.clear()
            stage.add_contacts(wanted)
            stage.add_messages(wanted)
            stage.settle_down()
            with Worker(stage, platform.url, threads=threads) as worker:
                worker.ring(8 + int(seconds / 2))
                if not wait_until(lambda: platform.tally()["requests"] > threads * 4, seconds=30):
                    raise RuntimeError(f"nothing is delivered: {stage.told()}")
                shape.ours.append(_window(platform, worker.child, seconds))
                shape.doubled += int(platform.tally()["doubled"])
        say(f"  {threads} threads, {latency} ms, round {number + 1}: {shape.as_json()}")
    return shape


def _window(platform: Platform, pid: int, seconds: float) -> Rate:
    first, watch = platform.tally(), machine.Watch(pid)
    time.sleep(seconds)
    last, window = platform.tally(), watch.read()
    done = last["requests"] - first["requests"]
    return Rate(done / (last["at"] - first["at"]), window.cpu / max(1, done) * 1e6, window.full, window.others)
