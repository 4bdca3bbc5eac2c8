"""Processes forked from one that has imported everything: as real as any, without their two seconds of importing.

They live and die by signals, have their own environment, connections and log, and share nothing with the test. What is
about starting itself (``duly up``, the supervisor, the demo) starts programs the long way.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
#: Imported once, by the process that all others are forked from.
_context.set_forkserver_preload(
    [
        "uvicorn",
        "scheduler.api.app",
        "scheduler.api.serve",
        "workers.tasks",
        "workers.sandbox.app",
        "tests.forked",
        "tests.forkserver",
    ]
)


def start_web(port: int, *, environment: Mapping[str, str], log: Path, ahead: float = 0.0) -> ForkServerProcess:
    """The web process on that port of this machine, whose clock it takes to be so many seconds ``ahead``."""
    return _start("web", str(port), str(ahead), environment=environment, log=log)


def start_sandbox(*arguments: str, environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """The sandbox, as ``python -m workers.sandbox`` starts it."""
    return _start("sandbox", *arguments, environment=environment, log=log)


def start_task(name: str, *arguments: str, environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """One run of a worker's task, in a process that ends with it."""
    return _start("task", name, *arguments, environment=environment, log=log)


def _start(what: str, *arguments: str, environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    process = _context.Process(target=_become, args=(what, arguments, dict(environment), str(log)), daemon=True)
    process.start()
    return process


def _become(what: str, arguments: tuple[str, ...], environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if what == "web":
        from scheduler import clock
        from scheduler.api.serve import serve

        if (ahead := float(arguments[1])) != 0.0:
            # This machine has one clock; the product reads it in one place.
            true = clock.machine
            clock.machine = lambda: true() + ahead
        serve("127.0.0.1", int(arguments[0]))
        return
    if what == "sandbox":
        from workers.sandbox.__main__ import main

        sys.exit(main(arguments))
    from scheduler.lineage.start import keep_marks
    from workers import deliver, posting, tasks

    keep_marks()

    # A process that has just begun is slow to its first request. How old a decision may grow is tested elsewhere.
    posting.OLDEST_DECISION = 3600.0
    posting.fresh_for = lambda rate: 3600.0
    deliver._first_byte_within = lambda: 3600.0
    name, *rest = arguments
    try:
        getattr(tasks, name)(*rest)
    finally:
        sys.stdout.flush()
