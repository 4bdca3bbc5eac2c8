"""``python -m benchmarks.delivery [speed] [table] [future] [memory]``: delivery against raw floors, as JSON.

Real PostgreSQL, Redis and Celery worker processes. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import platform as python_platform
import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.delivery import machine, speed, still, table, tasks
from benchmarks.delivery.stage import Stage, staged


def _speed(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    stage.add_pages(given.pages)
    asked = [tuple(map(int, shape.split("x"))) for shape in given.shapes] or list(speed.SHAPES)
    shapes = [
        speed.measure(stage, threads, latency, rounds=given.rounds, seconds=given.seconds, say=_say)
        for threads, latency in asked
    ]
    found: dict[str, Any] = {"speed": [shape.as_json() for shape in shapes]}
    ours = statistics.median(each.per_second for each in shapes[0].ours)
    found["celery"] = tasks.share(stage, ours, say=_say)
    found["obvious"] = tasks.obvious(stage, shapes[0].threads, shapes[0].latency, given.seconds, say=_say)
    found["times_obvious"] = round(ours / max(1, found["obvious"]["per_second"]), 1)
    return found


def _table(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    return {"table": table.measure(stage, given.sizes, rounds=given.rounds, say=_say)}


def _future(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    return {"future": still.future(stage, given.future, say=_say)}


def _memory(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    return {"memory": still.memory(stage, given.messages, threads=32, say=_say)}


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


_PARTS: dict[str, Callable[[Stage, argparse.Namespace], dict[str, Any]]] = {
    "speed": _speed, "table": _table, "future": _future, "memory": _memory,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Measure what is named, or all, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}; all, unless some are named")
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each window")
    parser.add_argument("--shapes", nargs="*", default=[], help="THREADSxMILLISECONDS, e.g. 64x50")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000], help="rows of the tables")
    parser.add_argument("--future", type=int, default=1_000_000, help="messages of the future")
    parser.add_argument("--messages", type=int, default=200_000, help="over which memory is watched")
    given = parser.parse_args(arguments)
    wrong = [part for part in given.parts if part not in _PARTS]
    if wrong:
        parser.error(f"{wrong[0]} is not one of {', '.join(_PARTS)}")
    found: dict[str, Any] = {"python": python_platform.python_version(), "load_before": round(machine.load(), 1)}
    for part in given.parts or _PARTS:
        with staged() as stage:
            found |= _PARTS[part](stage, given)
    sys.stdout.write(json.dumps(found | {"load_after": round(machine.load(), 1)}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
