"""How long a killed worker takes to send again, against the start of a bare Python process that imports Celery.

    .venv/bin/python -m benchmarks.recovery [--times 20] [--children 2]

A whole stack runs with steady work on one page. The worker is killed with SIGKILL, its children with it, as by a
machine that is out of memory; what counts is the time until the platform sees the next request. Before each kill a bare
process is started and timed, so that both had the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.delivery import machine
from benchmarks.delivery.stage import Platform, Stage, staged
from scheduler.store import process
from scheduler.store.process import wait_until
from scheduler.supervise.stack import Stack

#: Messages a second of the page: there is always something to send.
_RATE = 20
#: Requests of the new worker before it counts as well again.
_WELL = 20
#: A killed child's own requests that are on the wire arrive within this; none of a new worker can.
_STRAGGLERS = 0.1
#: Processor seconds that importing takes at the least.
_IMPORTED = 0.5
_BARE = "import celery, celery.app, celery.worker.worker, kombu.transport.redis"


def main() -> None:
    """Kill, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often the worker is killed")
    parser.add_argument("--children", type=int, default=2, help="DULY_WORKER_CHILDREN")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with staged(pinned=False) as stage, Platform(0, pinned=False) as platform:
        found = _measure(stage, platform, options.times, options.children)
    if options.json:
        print(json.dumps(found))
        return
    print(f"load {found['load']}; killed {options.times} times")
    for name in ("silent", "bare"):
        print(f"{name:8} p50 {_share(found[name], 50):6.2f} s   p95 {_share(found[name], 95):6.2f} s")
    print(f"ratio of the medians {_share(found['silent'], 50) / _share(found['bare'], 50):.2f}")
    print(f"messages that arrived twice: {found['doubled']}")


def _measure(stage: Stage, platform: Platform, times: int, children: int) -> dict[str, Any]:
    stage.add_pages(1, rate=_RATE)
    stage.query("UPDATE page SET rate = %s", _RATE)
    stage.add_contacts(_RATE * (times + 2) * 30)
    stage.add_messages(_RATE * (times + 2) * 30)
    stage.settle_down()
    environment = {"DULY_GRAPH_URL": platform.url, "DULY_WORKER_CHILDREN": str(children)}
    silent, bare = [], []
    with Stack(data_dir=stage.folder, port=0, environment=environment, patience=0.5) as stack:
        for number in range(times):
            _wait_for_more(platform, _WELL, stack)
            _wait_for_standby(stack)
            bare.append(_start_bare())
            silent.append(_kill(platform, stack))
            sys.stderr.write(f"{number + 1}: silent {silent[-1]:.2f} s, bare {bare[-1]:.2f} s\n")
    return {
        "silent": silent, "bare": bare, "doubled": platform.tally()["doubled"],
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _wait_for_more(platform: Platform, many: int, stack: Stack) -> None:
    before = platform.tally()["requests"]
    if not wait_until(lambda: platform.tally()["requests"] >= before + many, seconds=120):
        raise RuntimeError(f"nothing is sent: {process.tail(stack.log_of('worker'))}")


def _wait_for_standby(stack: Stack) -> None:
    """Until the one that stands by has imported everything and takes no more processor time."""
    if not wait_until(lambda: "worker" in stack.standing_by, seconds=120):
        raise RuntimeError("no worker stands by")
    pid, before = stack.standing_by["worker"], -1.0
    while before != (before := machine.cpu_seconds(pid)) or before < _IMPORTED:
        time.sleep(1.0)


def _kill(platform: Platform, stack: Stack) -> float:
    """Real seconds from the kill to the next request."""
    pid = stack.processes["worker"]
    began = time.monotonic()
    os.killpg(pid, signal.SIGKILL)
    time.sleep(_STRAGGLERS)
    before = platform.tally()["requests"]
    if not wait_until(lambda: platform.tally()["requests"] > before, seconds=120, every=0.005):
        raise RuntimeError(f"nothing was sent again: {process.tail(stack.log_of('worker'))}")
    return time.monotonic() - began


def _start_bare() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", _BARE], check=True)
    return time.monotonic() - began


def _share(times: Sequence[float], percent: int) -> float:
    if percent == 50:
        return statistics.median(times)
    return sorted(times)[max(0, -(-len(times) * percent // 100) - 1)]


if __name__ == "__main__":
    main()
