"""The demo's clock stands while the machine is behind, and goes on when it has caught up."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from scheduler import clock
from scheduler.clock_file import ClockFile
from scheduler.demo import pace
from scheduler.demo.pace import Pace, slowness

RATE = 100.0
WELL = {"events_sent": 10, "events_delivered": 9, "events_failed": 1}


class Machine:
    """What the shop and the platform are told when they ask how things are."""

    def __init__(self) -> None:
        self.tick = self.due = 0.0
        self.events = dict(WELL)

    def gauges(self) -> dict[str, dict[str, float]]:
        return {
            "duly_beat_age_seconds": {"tick": self.tick, "sweep": 1e9},
            "duly_due_oldest_seconds": {"utility": 0.0, "promotional": self.due},
        }

    def get(self, path: str) -> Any:
        assert path == "/status"
        return self.events


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def held(tmp_path: Path) -> ClockFile:
    return ClockFile.make(tmp_path / "clock", 0.0, RATE)


@pytest.fixture
def paced(machine: Machine, held: ClockFile) -> Pace:
    made = Pace(held, machine, machine, 1.0)  # type: ignore[arg-type]  # of both it asks no more than this one answers
    made.go()
    return made


def test_it_runs_while_the_machine_keeps_up(paced: Pace, machine: Machine, held: ClockFile) -> None:
    machine.tick, machine.due = 2 * RATE, 5 * RATE
    paced.look([])
    assert not held.stands
    assert paced.stood == 0.0


@pytest.mark.parametrize("behind", ["tick", "due", "events", "act"])
def test_it_stands_while_something_waits_too_long(
    behind: str, paced: Pace, machine: Machine, held: ClockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_ACT", -1.0)
    act: Future[None] = Future()
    match behind:
        case "tick":
            machine.tick = 5 * RATE
        case "due":
            machine.due = 7 * RATE
        case "events":
            machine.events["events_sent"] = 100
    acts = [act] if behind == "act" else []
    paced.look(acts)
    assert held.stands
    stood_at = held.read(clock.machine())
    paced.look(acts)
    assert held.stands
    machine.tick = machine.due = 0.0
    machine.events = dict(WELL)
    act.set_result(None)
    paced.look(acts)
    assert not held.stands
    assert held.read(clock.machine()) >= stood_at
    assert paced.stood > 0.0


def test_where_standing_does_not_help_the_day_ends_all_the_same(
    paced: Pace, machine: Machine, held: ClockFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.tick = 60 * RATE
    paced.look([])
    assert held.stands
    monkeypatch.setattr(pace, "_LONGEST", 0.0)
    paced.look([])
    assert not held.stands
    paced.look([])
    assert not held.stands


def test_a_machine_that_starts_slowly_plays_slowly(machine: Machine, held: ClockFile) -> None:
    assert slowness(3.0) == 1.0
    assert slowness(25.0) == 2.5
    made = Pace(held, machine, machine, 2.5)  # type: ignore[arg-type]  # as above
    made.go()
    assert held.rate == RATE / 2.5
