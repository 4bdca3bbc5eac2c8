"""``python -m benchmarks.obvious.chaos``: the obvious alternative when things go wrong, judged by the witness.

Workers are killed (SIGKILL), Redis is flushed, answers are lost after the platform accepted, people opt out meanwhile:
what ``make chaos`` does to Duly, of it what hits a design of this kind. Clock, sandbox and witness are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import requests

from benchmarks.delivery import machine
from benchmarks.delivery.stage import NOON, Stage, staged
from scheduler.store import process
from scheduler.store.redis_server import free_port
from workers.sandbox.witness import judge

_RATE = 60.0
_ZONES = ("America/New_York", "Europe/London", "Asia/Kolkata", "Asia/Bangkok", "Asia/Singapore")
#: Longer than the farthest eta, or Redis gives every waiting task to a second worker as well.
_VISIBILITY = 100
_BROKEN = ("http500_after_accept", "reset", "hang")


class _Hook(BaseHTTPRequestHandler):
    """The alternative's webhook: STOP is an opt-out, acknowledged once it is stored."""

    protocol_version = "HTTP/1.1"
    url = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stops = [
            event["sender"]["id"]
            for entry in body.get("entry", [])
            for event in entry.get("messaging", [])
            if event.get("message", {}).get("text", "").strip().upper() == "STOP"
            and not event["message"].get("is_echo")
        ]
        if stops:
            with psycopg.connect(self.url) as connection:
                connection.execute("UPDATE obvious_person SET opted_out = true WHERE psid = ANY(%s)", [stops])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Storm:
    def __init__(self, stage: Stage, given: argparse.Namespace) -> None:
        self._stage, self._given = stage, given
        self._random = random.Random(given.seed)
        self._http = requests.Session()
        self._http.trust_env = False
        self._done: Counter[str] = Counter()
        self._worker: subprocess.Popen[bytes] | None = None

    def play(self) -> dict[str, Any]:
        stage, given = self._stage, self._given
        _Hook.url = stage.url
        hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        port, log = free_port(), stage.folder / "sandbox.jsonl"
        sandbox = process.spawn(
            [
                sys.executable, "-m", "workers.sandbox", "--port", str(port), "--log", str(log), "--script", "none",
                "--no-fsync", "--seed", str(given.seed), "--rate", "1000",
                "--webhook-url", f"http://127.0.0.1:{hook.server_port}/hook",
            ],
            log=stage.folder / "logs" / "sandbox.log", env=os.environ,
        )  # fmt: skip
        self._sandbox = f"http://127.0.0.1:{port}"
        try:
            if not process.wait_until(self._answers, seconds=60):
                raise RuntimeError(process.tail(stage.folder / "logs" / "sandbox.log"))
            people = self._people()
            self._start_worker()
            self._break_things(people)
            self._rest()
        finally:
            if self._worker is not None:
                process.stop(self._worker, patience=2.0)
            process.stop(sandbox, patience=5.0)
            hook.shutdown()
        found = self._judge(log)
        if not found["requests"]:
            raise RuntimeError(process.tail(stage.folder / "logs" / "worker.log", 30))
        return found

    def _answers(self) -> bool:
        try:
            return self._http.get(f"{self._sandbox}/sandbox/pages", timeout=2).ok
        except requests.RequestException:
            return False

    def _call(self, path: str, **body: Any) -> Any:
        answer = self._http.post(f"{self._sandbox}/sandbox/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _people(self) -> list[str]:
        """Make them up, let each write, store what a shop knows of them; enqueue what they are to get."""
        from benchmarks.obvious import app as alternative

        stage, given = self._stage, self._given
        pages = self._http.get(f"{self._sandbox}/sandbox/pages", timeout=10).json()
        os.environ |= {
            "OBVIOUS_GRAPH": self._sandbox,
            "OBVIOUS_TOKENS": json.dumps({page["id"]: page["access_token"] for page in pages}),
        }

        def person(number: int) -> tuple[str, str, str]:
            page, zone = pages[number % len(pages)]["id"], _ZONES[number % len(_ZONES)]
            psid = self._call("person", page_id=page, zone=zone)["psid"]
            self._call("say", psid=psid, kind="message", wait=False)
            return psid, page, zone

        with ThreadPoolExecutor(8) as pool:
            people = list(pool.map(person, range(given.people)))
        alternative.make_tables()
        present = alternative.now()
        with psycopg.connect(stage.url) as connection, connection.cursor() as cursor:
            with cursor.copy("COPY obvious_person (psid, page_id, zone, last_inbound, opted_out) FROM STDIN") as copy:
                for psid, page, zone in people:
                    copy.write_row((psid, page, zone, present, False))
            with cursor.copy("COPY obvious_message (id, psid, text, status) FROM STDIN") as copy:
                for number in range(1, given.messages + 1):
                    copy.write_row((number, people[number % len(people)][0], "Hello, 15% off", "scheduled"))
        alternative.app.conf.broker_url = stage.servers.redis_url
        alternative.schedule(list(range(1, given.messages + 1)), after=3.0, over=given.seconds)
        return [psid for psid, _, _ in people]

    def _start_worker(self) -> None:
        argv = [
            sys.executable, "-m", "celery", "-A", "benchmarks.obvious.app", "worker", "--concurrency", "8",
            "--without-gossip", "--without-mingle", "--loglevel", "warning",
        ]  # fmt: skip
        self._worker = process.spawn(argv, log=self._stage.folder / "logs" / "worker.log", env=os.environ)
        # A worker that dies before it began proves nothing.
        running = self._worker
        if not process.wait_until(lambda: bool(machine.children(running.pid)), seconds=60):
            raise RuntimeError(process.tail(self._stage.folder / "logs" / "worker.log"))

    def _break_things(self, people: list[str]) -> None:
        given, rng = self._given, self._random
        faults: list[tuple[float, str]] = [
            *((given.seconds * (n + 1) / (given.kills + 1), "kill") for n in range(given.kills)),
            *((given.seconds * rng.random(), "lost_answer") for _ in range(given.lost)),
            *((given.seconds * rng.random(), "opt_out") for _ in range(given.opt_outs)),
            *(((given.seconds * 0.6, "flush"),) if given.flush else ()),
        ]
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            for at, what in sorted(faults):
                time.sleep(max(0.0, began + at - time.monotonic()))
                self._done[what] += 1
                if what == "kill":
                    assert self._worker is not None
                    # By turns one child, and all of it.
                    pool_of_it = machine.children(self._worker.pid)
                    if self._done["kill"] % 2 and pool_of_it:
                        os.kill(rng.choice(pool_of_it), signal.SIGKILL)
                        continue
                    os.killpg(self._worker.pid, signal.SIGKILL)
                    self._worker.wait()
                    self._start_worker()
                elif what == "flush":
                    with self._stage.redis() as client:
                        client.flushall()
                elif what == "lost_answer":
                    pool.submit(self._call, "fault", kind=rng.choice(_BROKEN), count=1, accepted=True)
                else:
                    pool.submit(self._call, "say", psid=rng.choice(people), kind="stop", wait=False)
        time.sleep(max(0.0, began + given.seconds - time.monotonic()))

    def _rest(self) -> None:
        """Until nothing changed for longer than whatever was taken and never acknowledged is kept from others."""
        last, since, end = -1, time.monotonic(), time.monotonic() + self._given.patience
        while time.monotonic() < end and time.monotonic() - since < _VISIBILITY + 30:
            left = int(self._stage.query("SELECT count(*) FROM obvious_message WHERE status = 'scheduled'")[0][0])
            if left != last:
                last, since = left, time.monotonic()
            if left == 0:
                return
            time.sleep(1.0)

    def _judge(self, log: Any) -> dict[str, Any]:
        verdict = judge(log)
        broken = Counter(violation.kind for violation in verdict.violations)
        accepted = set()
        numbers: dict[int, str] = {}
        for line in log.read_text().splitlines():
            record = json.loads(line)
            if record["kind"] == "request":
                try:
                    numbers[record["n"]] = json.loads(record["body"])["message"]["metadata"].partition(".")[0]
                except (ValueError, KeyError):
                    continue
            elif record["kind"] == "answer" and record.get("mid") and record["n"] in numbers:
                accepted.add(int(numbers[record["n"]]))
        rows = self._stage.query("SELECT id, status FROM obvious_message")
        hanging = {number for number, status in rows if status == "scheduled"}
        return {
            "messages": len(rows), "faults": dict(self._done), "requests": verdict.requests,
            "accepted": verdict.accepted, "states": dict(Counter(status for _, status in rows)),
            "doubled": broken["doubled"],
            "lost": len(hanging - accepted),
            "accepted_and_not_known": len(hanging & accepted),
            "outside_policy": sum(broken[kind] for kind in ("outside_window", "quiet_hours", "opted_out")),
            "outside_policy_by_kind": {kind: n for kind, n in broken.items() if kind != "doubled"},
        }  # fmt: skip


def main(arguments: list[str]) -> None:
    """Play it and print what the witness saw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.obvious.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--messages", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--lost", type=int, default=30, help="answers lost after the platform accepted")
    parser.add_argument("--opt-outs", type=int, default=60)
    parser.add_argument("--no-flush", dest="flush", action="store_false", help="leave Redis what it has")
    parser.add_argument("--patience", type=float, default=240.0, help="real seconds to come to rest")
    given = parser.parse_args(arguments)
    with staged() as stage:
        os.environ |= {
            "DULY_CLOCK_RATE": repr(_RATE),
            "OBVIOUS_BROKER": stage.servers.redis_url,
            "OBVIOUS_DATABASE": "postgresql+psycopg://" + stage.url.partition("://")[2],
            "OBVIOUS_CLOCK": f"{NOON},{_RATE},{os.environ['DULY_CLOCK_ORIGIN']}",
            "OBVIOUS_VISIBILITY": str(_VISIBILITY),
        }
        found = _Storm(stage, given).play()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
