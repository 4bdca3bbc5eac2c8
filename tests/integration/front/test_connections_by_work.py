"""Webhooks have connections of their own, every statement has a limit, and few heavy reads run at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.facts import counting, messages
from scheduler.settings import get_settings
from scheduler.store import database, work
from scheduler.store.work import LIMITS, Work, connections
from tests.patience import patience, wait_until
from tests.unit.delivery.stage import Stage

REST: tuple[Work, ...] = ("read", "write", "heavy", "worker", "command")


def test_a_stop_is_taken_while_everything_else_has_all_of_its_connections(
    page: Any, deliver: Any, say: Any, opted_out: Any
) -> None:
    assert deliver(say("7")).status_code == 200
    with ExitStack() as held:
        for kind in REST:
            for _ in range(connections(get_settings(), kind)):
                connection = held.enter_context(database.engine(kind).connect())
                connection.execute(text("SELECT 1"))
        assert deliver(say("7", "STOP")).status_code == 200
    assert opted_out("7")


def test_a_stop_is_taken_while_requests_have_all_threads(
    page: Any, api: Any, deliver: Any, say: Any, opted_out: Any, set_environment: Callable[..., None]
) -> None:
    """Forty requests stand in line for a table that somebody keeps locked; the fortieth thread is theirs, too."""
    assert deliver(say("7")).status_code == 200
    with database.engine("command").connect() as blocker, ThreadPoolExecutor(60) as pool:
        blocker.execute(text("LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE"))
        waiting = [pool.submit(api, "GET", "/campaigns") for _ in range(60)]
        assert wait_until(lambda: _waiters() > 0, seconds=10)
        try:
            assert deliver(say("7", "STOP")).status_code == 200
            assert opted_out("7")
        finally:
            blocker.rollback()
        assert {each.result(timeout=patience(60)).status_code for each in waiting} <= {200, 503}


def _waiters() -> int:
    with Session(database.engine("health")) as session:
        asked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return int(session.execute(asked).scalar_one())


@pytest.mark.parametrize("kind", list(LIMITS))
def test_every_kind_of_work_has_its_limits(database_url: str, kind: Work) -> None:
    limits = LIMITS[kind]
    with database.session(kind) as session:
        found = [
            session.execute(text(f"SELECT setting FROM pg_settings WHERE name = '{name}'")).scalar_one()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]
    assert [int(each) / 1000 for each in found] == [limits.statement, limits.lock, limits.idle]
    # Nobody waits for ever for a lock, or keeps one while nothing is done.
    assert limits.lock > 0
    assert limits.idle > 0
    assert (limits.statement > 0) is (kind != "command")


def test_a_count_in_bounded_time_leaves_the_limits_as_they_were(session: Session) -> None:
    with database.session("read") as reading:
        counting.within(reading, 0.2, text("SELECT 1"), {})
        assert reading.execute(text("SHOW statement_timeout")).scalar_one() == "10s"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads may take a fifth of a second."""
    monkeypatch.setitem(work.LIMITS, "read", work.Limits(statement=0.2, lock=5, idle=30))


def test_what_takes_too_long_is_a_problem_with_a_way_out(hasty: None, page: Any, api: Any) -> None:
    with database.engine("command").connect() as blocker:
        blocker.execute(text("LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE"))
        answer = api("GET", "/campaigns")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["Retry-After"]
    assert "ask for less" in answer.json()["way_out"]


def test_heavy_reads_beyond_their_number_are_told_to_come_back(
    page: Any, api: Any, deliver: Any, say: Any, opted_out: Any
) -> None:
    assert deliver(say("7")).status_code == 200
    at_a_time = get_settings().heavy_reads
    with database.engine("command").connect() as blocker, ThreadPoolExecutor(at_a_time) as pool:
        blocker.execute(text("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE"))
        waiting = [pool.submit(api, "GET", "/messages/summary") for _ in range(at_a_time)]
        assert wait_until(lambda: _waiters() == at_a_time, seconds=10)
        answer = api("GET", "/messages/summary")
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["Retry-After"]
        assert answer.json()["way_out"]
        assert deliver(say("7", "STOP")).status_code == 200
        assert opted_out("7")
        blocker.rollback()
        assert {each.result(timeout=patience(30)).status_code for each in waiting} == {200}
    assert api("GET", "/messages/summary").status_code == 200


def test_many_messages_are_counted_from_a_sample_and_it_says_so(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(session)
    people = [stage.contact() for _ in range(20)]
    for number in range(400):
        stage.message(people[number % 20], state="denied" if number % 4 else "scheduled")
    stage.commit()
    whole = messages.summarise(session, clock.now(), recent=10)
    assert whole.exact
    assert whole.states == {"denied": 300, "scheduled": 100}
    # As if they were so many that to count them took too long.
    monkeypatch.setattr(counting, "SMALL", {"message": -1, "message_log": -1})
    monkeypatch.setattr(counting, "within", lambda *_: None)
    # All blocks there are: the sample is the whole.
    sampled = messages.summarise(session, clock.now(), recent=10)
    assert not sampled.exact
    assert (sampled.states, sampled.reasons, sampled.deferred) == (whole.states, whole.reasons, whole.deferred)
    of_page = messages.summarise(session, clock.now(), recent=10, page_id=stage.page)
    assert of_page.states == whole.states
    # Of half of the blocks, each stands for two.
    monkeypatch.setattr(messages, "sample_share", lambda *_: 50.0)
    total = sum(sum(messages.summarise(session, clock.now(), recent=10).states.values()) for _ in range(40)) / 40
    assert 200 < total < 600
    session.rollback()
