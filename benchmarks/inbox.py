"""The inbox against its floor: ``python -m benchmarks.inbox [--seconds S] [--rounds N] [--ahead] [--json]``.

One web process or ``--processes``, PostgreSQL without fsync, the load and everything else on the same cores. Rounds are
interleaved, so that what else the machine does hits all alike; ratios are of medians of one run, and processor time an
event is told too, for it depends less on the neighbours. With ``--ahead`` whatever else runs waits while a case is
measured (as root: real-time priority): what is left of the neighbours is what they do to the caches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.delivery import machine
from benchmarks.delivery.stage import Stage, staged
from benchmarks.inbox_load import PAGES
from scheduler.store.process import wait_until
from scheduler.store.redis_server import free_port

#: (name, path, shape, events a request, connections)
CASES = (
    ("floor: signature and JSON alone", "/floor", "messages", 1, 64),
    ("the same inside of the product", "/inside", "messages", 1, 64),
    ("one message a request", "/webhooks/messenger", "messages", 1, 64),
    ("one event of any kind a request", "/webhooks/messenger", "mixed", 1, 64),
    ("floor, 20 a request", "/floor", "messages", 20, 16),
    ("20 messages a request", "/webhooks/messenger", "messages", 20, 16),
    ("20 of any kind a request", "/webhooks/messenger", "mixed", 20, 16),
)
#: The application under test and its floors.
_APP = "benchmarks.inbox_web:create"


@dataclass(slots=True, kw_only=True)
class Measured:
    """One case, over all rounds: medians."""

    case: str
    requests_a_second: float
    events_a_second: float
    p50_ms: float
    p99_ms: float
    #: Microseconds of processor time an event.
    web_us: float
    database_us: float


class Web:
    """The web process. A context manager."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self.port = free_port()

    def __enter__(self) -> Web:
        serving = f"from scheduler.api.serve import serve; serve('127.0.0.1', {self.port}, {self._processes}, {_APP!r})"
        argv = [sys.executable, "-c", serving]
        self._process = subprocess.Popen(argv, env={**os.environ, "DULY_DATABASE_POOL": "10"})
        assert wait_until(self._answers, seconds=60), "the web process does not answer"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    @property
    def pids(self) -> list[int]:
        return machine.family(self._process.pid)

    def _answers(self) -> bool:
        probe = subprocess.run(
            [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {self.port}), 1)"],
            capture_output=True, check=False,
        )  # fmt: skip
        return probe.returncode == 0


def _database_cpu(stage: Stage) -> float:
    server = stage.servers.postgres.process
    assert server is not None
    return _cpu(machine.family(server.pid))


def _cpu(pids: Iterable[int]) -> float:
    return sum(machine.cpu_seconds(pid) for pid in pids if Path(f"/proc/{pid}/stat").exists())


def _ahead(pids: Iterable[int], ahead: bool) -> None:
    """Let all threads of these processes go before everything else, or as everything else."""
    policy, priority = (os.SCHED_RR, 1) if ahead else (os.SCHED_OTHER, 0)
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


def _round(
    stage: Stage, web: Web, case: tuple[str, str, str, int, int], count: int, seed: int, *, ahead: bool
) -> dict[str, float]:
    _, path, shape, each, connections = case
    load = subprocess.Popen(
        [
            sys.executable, "-m", "benchmarks.inbox_load", str(web.port), path, shape, str(each), str(count),
            str(connections), str(seed),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert load.stdin is not None
    assert load.stdout is not None
    assert load.stdout.readline() == "ready\n"
    servers = [each.process.pid for each in (stage.servers.postgres, stage.servers.redis) if each.process is not None]
    pids = [*web.pids, load.pid, *(pid for server in servers for pid in machine.family(server))]
    if ahead:
        _ahead(pids, True)
    web_before, database_before = _cpu(web.pids), _database_cpu(stage)
    load.stdin.write("go\n")
    load.stdin.flush()
    told = json.loads(load.stdout.readline())
    if ahead:
        _ahead(pids, False)
    load.wait(60)
    assert not told["bad"], told["first_bad"]
    events = told["requests"] * each
    return {
        "requests_a_second": told["requests"] / told["seconds"],
        "events_a_second": events / told["seconds"],
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "web_us": (_cpu(web.pids) - web_before) / events * 1e6,
        "database_us": (_database_cpu(stage) - database_before) / events * 1e6,
    }


@contextmanager
def prepared(processes: int = 1) -> Iterator[tuple[Stage, Web]]:
    """Servers, pages and the web processes."""
    with staged() as stage:
        for server in (stage.servers.postgres.process, stage.servers.redis.process):
            if server is not None:
                machine.pin(server.pid, None)
        stage.add_pages(PAGES)
        with Web(processes) as web:
            yield stage, web


def run(
    rounds: int, seconds: float, only: str | None = None, *, ahead: bool = False, processes: int = 1
) -> list[Measured]:
    """All cases, ``rounds`` times in turn, each for about ``seconds``."""
    cases = [case for case in CASES if only is None or only in case[0]]
    found: dict[str, list[dict[str, float]]] = {case[0]: [] for case in cases}
    with prepared(processes) as (stage, web):
        pace: dict[str, float] = {}
        for number in range(rounds + 1):
            for place, case in enumerate(cases):
                # The first round is short: it warms everything up and shows how many fill the time.
                count = 300 if number == 0 else max(300, int(pace[case[0]] * seconds))
                seen = _round(stage, web, case, count, seed=1000 * number + place, ahead=ahead)
                pace[case[0]] = seen["requests_a_second"]
                if number:
                    found[case[0]].append(seen)
            stage.query("VACUUM ANALYZE")
        stored = stage.query("SELECT count(*), count(error) FROM platform_event")[0]
        assert stored[1] == 0, f"{stored[1]} of {stored[0]} events could not be applied"
    return [
        Measured(case=name, **{key: statistics.median(each[key] for each in seen) for key in seen[0]})
        for name, seen in found.items()
    ]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", help="cases whose name has this in it")
    parser.add_argument("--ahead", action="store_true", help="with real-time priority: whatever else runs waits")
    parser.add_argument("--processes", type=int, default=1, help="that answer: the floor has as many")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    measured = run(options.rounds, options.seconds, options.only, ahead=options.ahead, processes=options.processes)
    by_name = {each.case: each for each in measured}
    floor, single = by_name.get("floor: signature and JSON alone"), by_name.get("one message a request")
    ratio = single.requests_a_second / floor.requests_a_second if floor and single else None
    if options.json:
        print(json.dumps({"cases": [asdict(each) for each in measured], "single_to_floor": ratio}, indent=2))
        return
    print(f"{'':36} {'req/s':>8} {'events/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'web us/ev':>9} {'db us/ev':>9}")
    for each in measured:
        print(
            f"{each.case:36} {each.requests_a_second:8.0f} {each.events_a_second:9.0f} {each.p50_ms:7.1f} "
            f"{each.p99_ms:7.1f} {each.web_us:9.0f} {each.database_us:9.0f}"
        )
    if ratio is not None:
        print(f"\none message a request, committed before its 200, is {100 * ratio:.0f} % of the floor's requests/s")


if __name__ == "__main__":
    main(sys.argv[1:])
