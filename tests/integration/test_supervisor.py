from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.errors import AlreadyRunning, Unavailable
from scheduler.settings import running_environment
from scheduler.store import process
from scheduler.supervise.folder_lock import FolderLock
from scheduler.supervise.keeper import Keeper
from scheduler.supervise.program import Program

Eventually = Callable[..., None]

#: A parent with a child in its group, as a Celery worker with its pool; both write down who they are.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    made = Keeper()
    yield made
    made.stop()


class Family:
    """A program whose every life leaves the process ids of a parent and its child."""

    def __init__(self, folder: Path, name: str = "family", code: str = FAMILY, *, standby: str | None = None) -> None:
        self.ids = folder / f"{name}.ids"
        self.program = Program(
            name,
            [sys.executable, "-c", code, str(self.ids)],
            environment=os.environ,
            log=folder / f"{name}.log",
            ready=lambda: bool(self.lives()),
            patience=2,
            standby=[sys.executable, "-c", standby, str(self.ids)] if standby is not None else None,
        )

    def ready(self, times: int) -> bool:
        """Whether so many got ready to stand by."""
        place = Path(f"{self.ids}.ready")
        return place.exists() and place.read_text().count("ready") >= times

    def lives(self) -> list[list[int]]:
        if not self.ids.exists():
            return []
        return [[int(word) for word in line.split()] for line in self.ids.read_text().splitlines()]


def _gone(pids: list[int]) -> bool:
    return not any(process.command_of(pid) for pid in pids)


def test_a_killed_program_is_restarted_and_its_children_do_not_stay(
    keeper: Keeper, tmp_path: Path, eventually: Eventually
) -> None:
    family = Family(tmp_path)
    keeper.start(family.program, seconds=10)
    first = family.lives()[0]
    assert keeper.processes() == {"family": first[0]}
    os.kill(first[0], signal.SIGKILL)
    eventually(lambda: len(family.lives()) == 2, what="the second life")
    eventually(lambda: _gone(first), what="the end of the first life's child")
    eventually(lambda: keeper.restarts == {"family": 1})
    assert keeper.processes() == {"family": family.lives()[1][0]}


def test_stopping_leaves_no_process_behind(tmp_path: Path, eventually: Eventually) -> None:
    keeper = Keeper()
    families = [Family(tmp_path, "one"), Family(tmp_path, "two")]
    for family in families:
        keeper.start(family.program, seconds=10)
    keeper.stop()
    keeper.stop()
    for family in families:
        eventually(lambda family=family: _gone(family.lives()[0]))
    assert keeper.processes() == {}


def test_a_program_that_ignores_being_asked_is_killed(tmp_path: Path, eventually: Eventually) -> None:
    keeper = Keeper()
    stubborn = Family(tmp_path, "stubborn", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY)
    keeper.start(stubborn.program, seconds=10)
    keeper.stop()
    eventually(lambda: _gone(stubborn.lives()[0]))


def test_a_program_that_cannot_start_is_told_with_the_end_of_its_log(keeper: Keeper, tmp_path: Path) -> None:
    broken = Family(tmp_path, "broken", "raise SystemExit('no such table: page')")
    with pytest.raises(Unavailable, match="no such table: page"):
        keeper.start(broken.program, seconds=20)


#: One that gets ready, says so, and lives as the others do once it has read a line.
STANDBY = (
    """
import sys
with open(sys.argv[1] + ".ready", "a") as file: file.write("ready\\n")
if not sys.stdin.readline(): sys.exit()
"""
    + FAMILY
)


@pytest.fixture
def standing(keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> Family:
    """A family that runs, and one that stands by for it."""
    monkeypatch.setattr("scheduler.supervise.keeper._STAND_BY_AFTER", 0.0)
    family = Family(tmp_path, standby=STANDBY)
    keeper.start(family.program, seconds=10)
    eventually(lambda: "family" in keeper.standing_by() and family.ready(1), what="one that stands by")
    return family


def test_one_that_stands_by_takes_over(keeper: Keeper, standing: Family, eventually: Eventually) -> None:
    waits = keeper.standing_by()["family"]
    assert keeper.processes() == {"family": standing.lives()[0][0]}
    os.kill(standing.lives()[0][0], signal.SIGKILL)
    eventually(lambda: len(standing.lives()) == 2, what="the second life")
    assert standing.lives()[1][0] == waits
    assert keeper.processes() == {"family": waits}
    assert keeper.restarts == {"family": 1}
    # And another one stands by for that.
    eventually(lambda: keeper.standing_by().get("family", waits) != waits, what="the next that stands by")


def test_where_the_one_that_stands_by_is_gone_too_another_is_started(
    keeper: Keeper, standing: Family, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    waits = keeper.standing_by()["family"]
    monkeypatch.setattr("scheduler.supervise.keeper._STAND_BY_AFTER", 600.0)
    eventually(lambda: standing.program.waiting is not None and standing.program.waiting.pid == waits)
    os.kill(waits, signal.SIGKILL)
    os.kill(standing.lives()[0][0], signal.SIGKILL)
    eventually(lambda: len(standing.lives()) == 2, what="the second life")
    assert standing.lives()[1][0] != waits


def test_stopping_ends_the_one_that_stands_by(keeper: Keeper, standing: Family, eventually: Eventually) -> None:
    waits = keeper.standing_by()["family"]
    keeper.stop()
    eventually(lambda: _gone([waits, *standing.lives()[0]]))


SUPERVISOR = """
import pathlib, sys, threading
sys.path.insert(0, sys.argv[2])
from tests.integration.test_supervisor import Family
from scheduler.supervise.keeper import Keeper
family = Family(pathlib.Path(sys.argv[1]))
Keeper().start(family.program, seconds=10)
print("ready", flush=True)
threading.Event().wait()
"""


def test_a_killed_supervisor_takes_its_programs_along(tmp_path: Path, eventually: Eventually) -> None:
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=root) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        parent, child = Family(tmp_path).lives()[0]
        supervisor.kill()
    try:
        eventually(lambda: _gone([parent]))
    finally:
        os.kill(child, signal.SIGKILL)  # an orphan by our test's own making: a real worker's pool ends with it


def test_a_folder_has_one_stack_at_a_time(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(AlreadyRunning, match="just starting or stopping"):
        second.acquire()
    first.write_note(addresses={"web": "http://127.0.0.1:8000"}, environment={"DULY_PORT": "8000"})
    with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}, web http://127.0.0.1:8000; use that one"):
        second.acquire()
    assert running_environment(tmp_path) == {"DULY_PORT": "8000"}
    first.release()
    assert running_environment(tmp_path) == {}
    second.acquire()
    second.release()


def test_the_note_of_a_killed_stack_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"pid": 1, "addresses": {}, "environment": {"DULY_PORT": "1"}}')
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert running_environment(tmp_path) == {}
    lock.release()
