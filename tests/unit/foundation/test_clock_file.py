"""A virtual clock in a file: everybody reads the same instant, and it can stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from freezegun import freeze_time

from scheduler import clock
from scheduler.clock_file import ClockFile
from scheduler.errors import SettingsInvalid
from scheduler.settings import get_settings
from workers.sandbox.clock import clock_from

START = 1_772_884_800


@pytest.fixture
def held(tmp_path: Path, set_environment: Callable[..., None]) -> ClockFile:
    """One that stands at START and will run 60 times as fast as real time."""
    made = ClockFile.make(tmp_path / "clock", START, 60.0)
    set_environment(DULY_CLOCK_FILE=str(tmp_path / "clock"))
    return made


def test_it_stands_until_it_is_let_go_and_runs_on_from_where_it_stood(held: ClockFile) -> None:
    assert [held.read(1000.0), held.read(5000.0)] == [START, START]
    held.go(5000.0)
    assert not held.stands
    assert held.read(5010.0) == START + 600
    held.stand(5010.0)
    assert held.read(9999.0) == START + 600
    held.go(20_000.0)
    assert held.read(20_001.0) == START + 660


def test_its_rate_can_change_where_it_stands_and_nothing_jumps(held: ClockFile) -> None:
    held.go(1000.0)
    held.stand(1010.0)
    held.go(1020.0, 6.0)
    assert held.read(1020.0) == START + 600
    assert held.read(1030.0) == START + 660


def test_letting_go_and_standing_twice_change_nothing(held: ClockFile) -> None:
    held.go(1000.0)
    held.go(2000.0)
    assert held.read(2000.0) == START + 60_000
    held.stand(2000.0)
    held.stand(3000.0)
    assert held.read(3000.0) == START + 60_000


def test_product_and_sandbox_read_the_same(held: ClockFile) -> None:
    theirs = clock_from({"DULY_CLOCK_FILE": str(get_settings().clock_file)})
    assert clock.is_virtual()
    assert theirs.is_virtual
    assert theirs.start == START
    assert clock.now_exact() == theirs.read().at == START
    held.go(clock.machine() - 10, 6.0)
    with freeze_time(datetime.fromtimestamp(clock.machine(), UTC)):
        assert clock.now_exact() == theirs.read().at
        assert clock.now_exact() >= START + 60


def test_durations_of_machines_count_by_its_rate_also_while_it_stands(held: ClockFile) -> None:
    assert clock.rate() == 60.0
    assert clock.real_seconds(2) == 120
    held.go(1000.0, 30.0)
    assert clock.real_seconds(2) == 60


def test_whoever_waits_for_an_instant_waits_while_it_stands(held: ClockFile) -> None:
    theirs = clock_from({"DULY_CLOCK_FILE": str(get_settings().clock_file)})

    async def wait() -> None:
        waiting = asyncio.create_task(theirs.until(START + 3))
        # By its rate it would be over after 50 ms, if the clock ran.
        await asyncio.sleep(0.2)
        assert not waiting.done()
        held.go(clock.machine())
        await waiting
        assert theirs.read().at >= START + 3

    asyncio.run(wait())


def test_a_file_that_is_no_clock_is_named(tmp_path: Path, set_environment: Callable[..., None]) -> None:
    place = tmp_path / "nothing"
    set_environment(DULY_CLOCK_FILE=str(place))
    with pytest.raises(SettingsInvalid, match=r"DULY_CLOCK_FILE: .*nothing is not a clock"):
        clock.now()
    place.write_bytes(b"short")
    with pytest.raises(ValueError, match=r"DULY_CLOCK_FILE: .*nothing is not a clock"):
        clock_from({"DULY_CLOCK_FILE": str(place)})


def test_there_is_one_clock_and_none_of_them_in_production(
    held: ClockFile, set_environment: Callable[..., None]
) -> None:
    set_environment(DULY_CLOCK_START="2026-03-07T12:00:00Z", DULY_CLOCK_RATE="60", DULY_CLOCK_ORIGIN="1")
    with pytest.raises(SettingsInvalid, match="unset one"):
        get_settings()
    set_environment(DULY_CLOCK_START=None, DULY_CLOCK_RATE=None, DULY_CLOCK_ORIGIN=None, DULY_ENV="production")
    with pytest.raises(SettingsInvalid, match="DULY_CLOCK_FILE is refused in production"):
        get_settings()
