from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from freezegun import freeze_time

from scheduler import clock

START = datetime(2026, 3, 28, 8, tzinfo=UTC)


@pytest.fixture
def accelerated(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_CLOCK_START="2026-03-28T08:00:00Z", DULY_CLOCK_RATE="864", DULY_CLOCK_ORIGIN="1000")


@pytest.mark.usefixtures("accelerated")
@pytest.mark.parametrize(
    ("unix", "passed"),
    [
        (1000, 0),
        (1100, 86_400),
        (1000.5, 432),
        (999, -864),
    ],  # at the origin, a day in 100 s, between seconds, before it
)
def test_the_virtual_clock_runs_from_the_origin_at_its_rate(unix: float, passed: int) -> None:
    with freeze_time(datetime.fromtimestamp(unix, UTC)):
        assert clock.now() == START.timestamp() + passed
        assert clock.now_ms() == (START.timestamp() + passed) * 1000
        assert clock.aware_now().timestamp() == START.timestamp() + passed


@pytest.mark.usefixtures("accelerated")
def test_durations_of_machines_are_stretched_and_rounded_up() -> None:
    assert clock.rate() == 864
    assert clock.real_seconds(2) == 1728
    assert clock.real_seconds(0.001) == 1
    assert clock.guard_seconds() == 1728


def test_without_a_virtual_clock_it_is_the_machines() -> None:
    with freeze_time("2026-11-21T09:00:00.750Z"):
        assert clock.now() == int(datetime(2026, 11, 21, 9, tzinfo=UTC).timestamp())
        assert clock.now_ms() % 1000 == 750
        assert clock.real_seconds(1.5) == 2
