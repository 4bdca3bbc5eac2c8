"""The whole stack as real processes: started, killed in parts, interrupted as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from scheduler.store import folder, process
from tests.patience import patience

ROOT = Path(__file__).parents[2]
DULY = [sys.executable, "-m", "scheduler.cli.main"]

pytestmark = pytest.mark.timeout(240)


def _duly(*words: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DULY, *words],
        cwd=ROOT,
        env=_environment(data_dir),
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )


def _environment(data_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DULY_")}
    return {**kept, "DULY_DATA_DIR": str(data_dir), "DULY_WORKER_CHILDREN": "1", "DULY_WEB_PROCESSES": "2"}


def test_duly_up_runs_everything_keeps_it_running_and_leaves_nothing(
    tmp_path: Path, eventually: Callable[..., None]
) -> None:
    data_dir = tmp_path / "data"
    output = tmp_path / "output"
    note = data_dir / "stack.json"
    with output.open("w") as file:
        up = subprocess.Popen(
            [*DULY, "up", "--port", "0", "--seed-demo"], cwd=ROOT, env=_environment(data_dir), stdout=file, stderr=file
        )
    try:
        eventually(
            lambda: "Ctrl-C stops everything" in output.read_text() or up.poll() is not None,
            seconds=120, what="the start of everything",
        )  # fmt: skip
        assert up.poll() is None, output.read_text()
        addresses = json.loads(note.read_text())["addresses"]
        assert requests.get(f"{addresses['web']}/healthz", timeout=patience(5)).ok
        assert requests.get(f"{addresses['sandbox']}/sandbox/status", timeout=patience(5)).ok
        key = (data_dir / "api-key").read_text().strip()

        # It is filled: a shop with its pages, a draft to look at, and people who begin to write.
        def read(path: str) -> Any:
            answer = requests.get(
                f"{addresses['web']}/api/v1{path}", headers={"Authorization": f"Bearer {key}"}, timeout=patience(5)
            )
            assert answer.ok, answer.text
            return answer.json()["items"]

        pages = read("/pages")
        assert len(pages) == 4
        assert [campaign["status"] for campaign in read("/campaigns")] == ["draft"]
        assert read(f"/pages/{pages[0]['external_id']}/contacts")

        # A second terminal finds it; a second stack does not start.
        current = _duly("db", "current", "--json", data_dir=data_dir)
        assert json.loads(current.stdout)["up_to_date"], current.stderr
        second = _duly("up", data_dir=data_dir)
        assert second.returncode == 5, second.stderr
        assert f"process {up.pid}, web {addresses['web']}" in second.stderr

        # Each of the web processes comes back by itself, and the other goes on meanwhile.
        serving = _serving(up.pid)
        assert len(serving) == 2
        os.kill(min(serving), signal.SIGKILL)
        eventually(lambda: len(_serving(up.pid) - {min(serving)}) == 2, seconds=30, what="another web process")
        assert max(serving) in _serving(up.pid)
        assert requests.get(f"{addresses['web']}/healthz", timeout=patience(20)).ok

        # What is killed comes back.
        before = _workers(up.pid)
        os.kill(min(before), signal.SIGKILL)  # the parent of the others
        eventually(lambda: not any(map(_alive, before)), what="the end of the killed worker's pool")
        eventually(lambda: bool(_workers(up.pid)), seconds=30, what="a new worker")

        for server in ("/postgres -D", "redis-server 127"):
            os.kill(next(pid for pid, command in _family(up.pid).items() if server in command), signal.SIGKILL)
        eventually(lambda: _ready(addresses["web"]), seconds=30, what="the database's return")
        eventually(lambda: len(_servers(up.pid)) == 2, seconds=30, what="both servers' return")

        everybody = _family(up.pid)
        up.send_signal(signal.SIGINT)
        assert up.wait(patience(60)) == 0, output.read_text()
        assert "nothing is left running" in output.read_text()
        eventually(lambda: not any(_alive(pid) for pid in everybody), what="the end of every process")
        assert not note.exists()
    finally:
        up.kill()
        up.wait()
        folder.remove(data_dir)


def _family(parent: int) -> dict[int, str]:
    """Every living descendant of ``parent`` with its command line."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(rest[1]), []).append(pid)
    found: dict[int, str] = {}
    waiting = [parent]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            command = process.command_of(pid)
            if command:
                found[pid] = command
            waiting.append(pid)
    return found


def _servers(parent: int) -> list[str]:
    return [
        command for command in _family(parent).values() if "/postgres -D" in command or "redis-server 127" in command
    ]


def _ready(web: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{web}/readyz", timeout=patience(5)).ok
    return False


def _workers(parent: int) -> set[int]:
    """The worker with its pool. One that stands by has no pool."""
    commands = {pid: command for pid, command in _family(parent).items() if "workers.start" in command}
    worker = next((pid for pid in commands if any("workers.start" in each for each in _family(pid).values())), None)
    return {worker, *_family(worker)} if worker is not None else set()


def _serving(parent: int) -> set[int]:
    """The processes that uvicorn's own starts."""
    web = next(pid for pid, command in _family(parent).items() if "scheduler.api" in command)
    return {pid for pid, command in _family(web).items() if "spawn_main" in command}


def _alive(pid: int) -> bool:
    return process.command_of(pid) is not None
