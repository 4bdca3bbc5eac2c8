"""What costs nothing: a million messages of the future, and the two hundred thousandth message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.delivery import machine
from benchmarks.delivery.stage import NOON, Platform, Stage, Worker
from scheduler.doorbell import producer
from scheduler.store.process import wait_until


def future(stage: Stage, count: int, *, say: Callable[[str], None]) -> dict[str, Any]:
    """What ``count`` messages that are due in a month add to Redis and to a worker that ticks meanwhile."""
    stage.add_pages(60)
    stage.add_contacts(count)
    with Platform(0) as platform, Worker(stage, platform.url, threads=8) as worker:
        _tick(stage, 5)
        before = _held(stage, worker)
        say(f"  before: {before}")
        stage.add_messages(count, state="scheduled", due_at=NOON + 30 * 86_400)
        stage.settle_down()
        _tick(stage, 20)
        after = _held(stage, worker)
        say(f"  with {count} future messages: {after}")
    return {"messages": count, "before": before, "after": after}


def _tick(stage: Stage, times: int) -> None:
    for number in range(times):
        producer(stage.servers.redis_url).send_task("tick")
        told = number

        def ran() -> bool:
            with stage.redis() as client:
                return int(client.llen("celery")) == 0

        if not wait_until(ran, seconds=60):
            raise RuntimeError(f"tick {told} was not run: {stage.told()}")
    # The last one is taken from the queue and may still run.
    if not wait_until(lambda: bool(stage.query("SELECT 1 FROM beat WHERE task = 'tick'")), seconds=30):
        raise RuntimeError("no tick was recorded")


def _held(stage: Stage, worker: Worker) -> dict[str, float]:
    with stage.redis() as client:
        memory = client.info("memory")
        return {
            "redis_bytes": int(memory["used_memory_dataset"]),
            "redis_keys": int(client.dbsize()),
            "worker_main_mb": round(machine.resident_megabytes(worker.process.pid), 1),
            "worker_child_mb": round(machine.resident_megabytes(worker.child), 1),
        }


def memory(stage: Stage, count: int, *, threads: int, say: Callable[[str], None]) -> dict[str, Any]:
    """A child's memory while it sends ``count`` messages: sampled each twentieth of them."""
    stage.add_pages(80)
    # More than are waited for: what a busy machine gives back is not due again without a tick.
    stage.add_contacts(count * 2)
    stage.add_messages(count * 2)
    stage.settle_down()
    samples: list[tuple[int, float]] = []
    with Platform(0) as platform, Worker(stage, platform.url, threads=threads) as worker:
        began = time.monotonic()
        step = max(1, count // 20)
        for target in range(step, count + 1, step):
            while platform.tally()["requests"] < target:
                with stage.redis() as client:
                    if int(client.llen("celery")) < 3:
                        worker.ring(3)
                if time.monotonic() - began > count / 50:
                    raise RuntimeError(f"too slow: {stage.told()}")
                time.sleep(0.2)
            samples.append((target, round(machine.resident_megabytes(worker.child), 1)))
            say(f"  {samples[-1][0]} messages, {samples[-1][1]} MB")
        seconds = time.monotonic() - began
    # The first fifth fills caches and pools.
    settled = [megabytes for at, megabytes in samples if at > count / 5]
    return {
        "messages": count, "seconds": round(seconds), "samples": samples,
        "growth_mb_after_the_first_fifth": round(settled[-1] - settled[0], 1) if settled else None,
    }  # fmt: skip
