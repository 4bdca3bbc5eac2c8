"""``python -m benchmarks.delivery [speed|table|future|memory|celery] [--json]``: delivery against raw floors."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from benchmarks.delivery import machine, speed
from benchmarks.delivery.stage import Stage, staged


def _speed(stage: Stage, given: argparse.Namespace) -> dict[str, Any]:
    stage.add_pages(given.pages)
    shapes = [tuple(map(int, shape.split("x"))) for shape in given.shapes] or list(speed.SHAPES)
    return {
        "speed": [
            speed.measure(stage, threads, latency, rounds=given.rounds, seconds=given.seconds, say=_say).as_json()
            for threads, latency in shapes
        ]
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


_PARTS = {"speed": _speed}


def main(arguments: list[str]) -> None:
    """Measure what is named, or all, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], help="all, unless some are named")
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each window")
    parser.add_argument("--shapes", nargs="*", default=[], help="THREADSxMILLISECONDS, e.g. 64x50")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {"load_before": round(machine.load(), 1)}
    for part in given.parts or _PARTS:
        with staged() as stage:
            found |= _PARTS[part](stage, given)
    sys.stdout.write(json.dumps(found | {"load_after": round(machine.load(), 1)}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
