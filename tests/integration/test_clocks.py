"""A worker whose clock is wrong does nothing, and says so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from freezegun import freeze_time
from sqlmodel import Session

from scheduler import clock
from scheduler.outbox.skews import skews, tell_skew
from tests.unit.delivery.stage import Stage
from workers import clocks, tasks
from workers.app import PERIODS
from workers.clocks import Clocks, clock_is_right


@pytest.mark.parametrize("off", [-30, 30])
def test_a_clock_that_is_wrong_is_told_until_it_is_right(session: Session, off: int) -> None:
    known = Clocks()
    assert known.agree()
    assert skews(session) == []
    session.rollback()
    with freeze_time(clock.aware_now() + timedelta(seconds=off)):
        late = Clocks()
        assert not late.agree()
        # A look stands for some seconds, and nobody is asked again meanwhile.
        assert not late.agree()
    [skew] = skews(session)
    assert skew.host == socket.gethostname()
    assert abs(skew.ahead - off) < 2
    session.rollback()
    late._looked = time.monotonic() - 60
    assert late.agree()
    assert skews(session) == []


def test_nothing_is_decided_by_a_wrong_clock(session: Session, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(session)
    message = stage.message(stage.contact(), state="scheduled")
    stage.commit()
    monkeypatch.setattr(clocks, "_clocks", Clocks())
    with freeze_time(clock.aware_now() + timedelta(seconds=30)):
        # Not through Celery, whose own clock is never frozen.
        for name in PERIODS:
            tasks.periodic.run(name)
        assert tasks.deliver.run("promotional") == 0
    assert stage.state(message) == "scheduled"
    assert stage.rows("SELECT 1 FROM beat") == []


def test_a_virtual_clock_is_the_same_for_all(
    session: Session, monkeypatch: pytest.MonkeyPatch, set_environment: Callable[..., None]
) -> None:
    monkeypatch.setattr(clocks, "_clocks", Clocks())
    with freeze_time(clock.aware_now() + timedelta(seconds=30)):
        assert not clock_is_right()
        set_environment(
            DULY_CLOCK_START="2026-03-10T12:00:00Z", DULY_CLOCK_RATE="60", DULY_CLOCK_ORIGIN=repr(clock.machine())
        )
        assert clock_is_right()
    tell_skew(session, socket.gethostname(), None)
    session.commit()


def test_an_old_word_about_a_clock_does_not_stand(session: Session) -> None:
    tell_skew(session, "worker-7", -3.5)
    assert [(each.host, each.ahead) for each in skews(session)] == [("worker-7", -3.5)]
    session.connection().exec_driver_sql("UPDATE clock_skew SET looked_at = looked_at - 61")
    assert skews(session) == []
