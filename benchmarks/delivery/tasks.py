"""Celery's share: what a task costs, over the messages that one delivers; and the obvious alternative's rate."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.delivery import machine
from benchmarks.delivery.stage import NOON, Platform, Stage, Worker
from scheduler.doorbell import producer
from scheduler.store import process
from workers.deliver import TIME_SLICE

_TASKS = 400


def share(stage: Stage, per_second: float, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Processor time of sending, fetching and running a task that does nothing, over the messages of a time slice."""
    # What was rung for before would be delivered first.
    stage.clear()
    with Platform(0) as platform, Worker(stage, platform.url, threads=8) as worker:
        client = producer(stage.servers.redis_url)
        client.send_task("celery.accumulate", args=[0])
        if not process.wait_until(lambda: _empty(stage), seconds=30):
            raise RuntimeError(stage.told())
        before = machine.cpu_seconds(worker.process.pid) + machine.cpu_seconds(worker.child)
        sending = time.process_time()
        for _ in range(_TASKS):
            client.send_task("celery.accumulate", args=[0])
        sending = time.process_time() - sending
        if not process.wait_until(lambda: _empty(stage), seconds=60):
            raise RuntimeError(stage.told())
        spent = machine.cpu_seconds(worker.process.pid) + machine.cpu_seconds(worker.child) - before + sending
    a_task = spent / _TASKS * 1e6
    # Beat rings for both lanes every second, whether it is needed or not; a slice ends after four.
    tasks = 2 * TIME_SLICE + 1
    found = {
        "us_a_task": round(a_task), "messages_a_slice": round(per_second * TIME_SLICE),
        "us_a_message": round(a_task * tasks / (per_second * TIME_SLICE), 1), "asked": 20,
    }  # fmt: skip
    say(f"  Celery: {found}")
    return found


def obvious(stage: Stage, threads: int, latency: int, seconds: float, *, say: Callable[[str], None]) -> dict[str, Any]:
    """How fast one task a message goes, in as many threads, on both cores; enqueueing is not counted against it."""
    os.environ["OBVIOUS_BROKER"] = stage.servers.redis_url
    os.environ["OBVIOUS_DATABASE"] = "postgresql+psycopg://" + stage.url.partition("://")[2]
    os.environ["OBVIOUS_CLOCK"] = ",".join((str(NOON), "1.0", os.environ["DULY_CLOCK_ORIGIN"]))
    from benchmarks.obvious import app as alternative

    count = int(400 * (seconds + 8))
    with stage.redis() as client:
        client.flushall()
    with Platform(latency) as platform:
        os.environ["OBVIOUS_GRAPH"] = platform.url
        alternative.app.conf.broker_url = stage.servers.redis_url
        alternative.make_tables()
        stage.query(
            "INSERT INTO obvious_person (psid, page_id, zone, last_inbound, opted_out) "
            "SELECT (7000000000000000 + n)::text, '1000' || (1 + n %% 60), 'UTC', %s, false "
            "FROM generate_series(1, %s) n",
            NOON - 7200, count,
        )  # fmt: skip
        stage.query(
            "INSERT INTO obvious_message (id, psid, text, status) SELECT n, (7000000000000000 + n)::text, "
            "'Hello Alex, your size is back', 'scheduled' FROM generate_series(1, %s) n",
            count,
        )
        began = time.process_time()
        alternative.schedule(list(range(1, count + 1)))
        enqueueing = (time.process_time() - began) / count * 1e6
        argv = [
            sys.executable, "-m", "celery", "-A", "benchmarks.obvious.app", "worker", "-P", "threads", "--concurrency",
            str(threads), "--without-gossip", "--without-mingle", "--loglevel", "warning",
        ]  # fmt: skip
        worker = process.spawn(argv, log=stage.folder / "logs" / "worker.log", env=os.environ)
        try:
            if not process.wait_until(lambda: platform.tally()["requests"] > threads, seconds=60):
                raise RuntimeError(f"the alternative sends nothing: {stage.told()}")
            first, watch = platform.tally(), machine.Watch(worker.pid)
            time.sleep(seconds)
            last, window = platform.tally(), watch.read()
        finally:
            process.stop(worker, patience=1.0)
    done = last["requests"] - first["requests"]
    found = {
        "threads": threads, "latency_ms": latency, "per_second": round(done / (last["at"] - first["at"])),
        "cpu_us": round(window.cpu / max(1, done) * 1e6), "enqueue_cpu_us": round(enqueueing),
    }  # fmt: skip
    say(f"  one task a message: {found}")
    return found


def _empty(stage: Stage) -> bool:
    with stage.redis() as client:
        return int(client.llen("celery")) == 0
