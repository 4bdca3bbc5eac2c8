"""What the children of one worker share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from workers.turns import Turns


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.close()


def _child(turns: Turns, write: int, hold: int, count: int, first: int = 0) -> None:
    with turns.one_of(count, first=first) as mine:
        os.write(write, b"1" if mine else b"0")
        os.read(hold, 1)


def _start(turns: Turns, count: int, first: int = 0) -> tuple[int, int, bytes]:
    """(pid, the end that lets it go, whether it got a turn)."""
    read, write = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        try:
            _child(turns, write, hold, count, first)
        finally:
            os._exit(0)
    os.close(write)
    os.close(hold)
    got = os.read(read, 1)
    os.close(read)
    return pid, release, got


def _end(pid: int, release: int) -> None:
    # A byte, not an end of file: later children hold this end as well.
    os.write(release, b"x")
    os.close(release)
    os.waitpid(pid, 0)


def test_no_more_processes_than_turns_have_one(turns: Turns) -> None:
    children = [_start(turns, 2) for _ in range(3)]
    try:
        assert [got for _, _, got in children] == [b"1", b"1", b"0"]
    finally:
        for pid, release, _ in children:
            _end(pid, release)


def test_a_killed_process_leaves_its_turn_to_the_next(turns: Turns) -> None:
    pid, release, got = _start(turns, 1)
    assert got == b"1"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(release)
    pid, release, got = _start(turns, 1)
    _end(pid, release)
    assert got == b"1"


def test_the_children_see_that_the_worker_ends(turns: Turns) -> None:
    assert not turns.draining
    pid = os.fork()
    if pid == 0:
        turns.drain()
        os._exit(0)
    os.waitpid(pid, 0)
    assert turns.draining


def test_turns_at_other_places_are_other_turns(turns: Turns) -> None:
    children = [_start(turns, 1), _start(turns, 1, first=1000), _start(turns, 1, first=1000)]
    try:
        assert [got for _, _, got in children] == [b"1", b"1", b"0"]
    finally:
        for pid, release, _ in children:
            _end(pid, release)


def test_what_was_asked_for_many_times_runs_once_in_its_period(turns: Turns) -> None:
    """Over all children: what beat asked for while no worker was there must not be worked off one by one."""
    assert turns.again(0, 0.5, 100.0)
    assert turns.again(1, 0.5, 100.0)
    pid = os.fork()
    if pid == 0:
        os._exit(int(turns.again(0, 0.5, 100.4)))
    assert os.waitpid(pid, 0)[1] == 0
    assert not turns.again(0, 0.5, 100.4)
    assert turns.again(0, 0.5, 100.5)
