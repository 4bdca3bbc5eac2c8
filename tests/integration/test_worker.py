"""A real Celery worker: rung for, killed, and asked to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlmodel import Session

from scheduler import clock
from scheduler.doorbell import producer
from scheduler.outbox.sweep import sweep
from tests.patience import patience, wait_until
from tests.unit.delivery.stage import Stage
from tests.unit.delivery.wire import WireServer, accept, message_id_of
from workers.app import app


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    server.script = accept
    yield server
    server.close()


@pytest.fixture
def stage(session: Session) -> Stage:
    return Stage(session, now=clock.now())


class Worker:
    """``celery -A workers.app worker``, or with another app, as its own process."""

    def __init__(self, log: Path, environment: dict[str, str], app: str = "workers.app") -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", app, "worker", "--without-gossip", "--without-mingle"],
                env={**os.environ, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def close(self) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(patience(10))


@pytest.fixture
def worker(
    database_url: str,
    redis_url: str,
    wire: WireServer,
    tmp_path: Path,
    set_environment: Callable[..., None],
    eventually: Callable[..., None],
) -> Iterator[Worker]:
    set_environment(DULY_GRAPH_URL=wire.url)
    started = Worker(tmp_path / "worker.log", {"DULY_GRAPH_URL": wire.url})
    with redis.Redis.from_url(redis_url) as client:

        def listens() -> bool:
            assert started.process.poll() is None, started.log.read_text()
            return any(str(found["cmd"]).startswith("brpop") for found in client.client_list())

        eventually(listens, seconds=60, what="the worker listening")
    yield started
    started.close()


def _ring(redis_url: str, task: str, *arguments: str) -> None:
    producer(redis_url).send_task(task, args=list(arguments))


def _ring_until(done: Callable[[], bool], redis_url: str, eventually: Callable[..., None]) -> None:
    """Ring as beat does: what a worker gave back because this machine was slow is due again, and begun once more."""
    rung_at = float("-inf")

    def rings() -> bool:
        nonlocal rung_at
        if time.monotonic() - rung_at >= 1.0 and not done():
            _ring(redis_url, "tick")
            rung_at = time.monotonic()
        return done()

    eventually(rings, seconds=30, what="the request")


class Held:
    """A script that keeps a request unanswered until the test lets it go."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.release = threading.Event()

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self.arrived.set()
        self.release.wait(patience(20))
        accept(connection, request)


def test_a_ring_delivers_and_beats_are_remembered(
    stage: Stage, wire: WireServer, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    stage.messages(5, state="scheduled")
    stage.commit()
    # The tick makes them due and rings for the lane itself.
    for task in ("plan", "wake", "sweep", "read_profiles", "probe", "import", "retain"):
        _ring(redis_url, task)

    def all_done() -> bool:
        stage.commit()
        beats = {row.task for row in stage.rows("SELECT task FROM beat")}
        return stage.states() == {"sent": 5} and beats == {*app.conf.beat_schedule}

    _ring_until(all_done, redis_url, eventually)
    assert len(wire.requests) == 5


def test_what_a_beat_with_another_clock_asks_for_is_done(
    stage: Stage, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    """Beat's machine is 20 s behind: by its clock what it asks for is not stale, by the worker's it is 20 s old."""
    stage.commit()
    entry = app.conf.beat_schedule["tick"]
    stale = datetime.fromtimestamp(clock.machine() - 20 + entry["options"]["expires"], UTC)
    producer(redis_url).send_task(entry["task"], args=entry["args"], expires=stale)

    def ticked() -> bool:
        stage.commit()
        return bool(stage.rows("SELECT 1 FROM beat WHERE task = 'tick'"))

    eventually(ticked, seconds=20, what="a tick")


def test_a_worker_waits_for_a_broker_that_is_out_of_memory(
    stage: Stage, wire: WireServer, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    """Redis refuses to write and takes up again: the same worker goes on, and has not asked without a pause."""
    message = stage.message(stage.contact())
    stage.commit()
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", "1")
        try:
            # Whoever has to connect anew has to write: which queues there are.
            client.client_kill_filter(_type="normal", skipme=True)
            began, words = time.monotonic(), "command not allowed when used memory"
            refused = wait_until(lambda: worker.log.read_text().count(words) >= 20, seconds=30)
            assert refused, worker.log.read_text()
            assert time.monotonic() - began > 1.0
        finally:
            client.config_set("maxmemory", before)

    def sent() -> bool:
        assert worker.process.poll() is None, worker.log.read_text()
        _ring(redis_url, "deliver", "promotional")
        stage.commit()
        return stage.state(message) == "sent"

    eventually(sent, seconds=40, what="the worker going on")


def test_a_child_killed_while_sending_leaves_doubt_and_doubles_nothing(
    stage: Stage, wire: WireServer, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    held = Held()
    wire.script = held
    message = stage.message(stage.contact())
    stage.commit()
    _ring_until(held.arrived.is_set, redis_url, eventually)
    before = worker.children
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    held.release.set()
    wire.script = accept
    eventually(
        lambda: len(worker.children) == len(before) and not set(before) & set(worker.children),
        seconds=20,
        what="new children",
    )
    stage.commit()
    assert stage.state(message) == "sending"

    other = stage.message(stage.contact())
    stage.commit()

    def other_sent() -> bool:
        _ring(redis_url, "deliver", "promotional")
        stage.commit()
        return stage.state(other) == "sent"

    eventually(other_sent, seconds=20, what="the worker going on")
    assert sweep(stage.session, clock.now() + 25) == {"in_doubt": 1, "unconfirmed": 0}
    stage.commit()
    assert tuple(stage.row("SELECT state, reason, crashes FROM message WHERE id = :id", id=message)) == (
        "in_doubt", "crashed", 1,
    )  # fmt: skip
    assert [message_id_of(request) for request in wire.requests] == [message, other]


def test_a_worker_asked_to_end_finishes_what_is_on_the_wire(
    stage: Stage, wire: WireServer, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    held = Held()
    wire.script = held
    first = stage.message(stage.contact())
    stage.commit()
    _ring_until(held.arrived.is_set, redis_url, eventually)
    worker.process.terminate()
    eventually(lambda: "shutdown" in worker.log.read_text().lower(), what="the worker ending")
    second = stage.message(stage.contact())
    stage.commit()
    held.release.set()
    assert worker.process.wait(patience(20)) == 0
    stage.commit()
    assert [stage.state(first), stage.state(second)] == ["sent", "due"]
    assert stage.one("SELECT count(*) FROM attempt WHERE outcome = 'sending'") == 0


def test_a_drain_while_requests_are_slow_leaves_nothing_in_doubt(
    stage: Stage, wire: WireServer, worker: Worker, redis_url: str, eventually: Callable[..., None]
) -> None:
    """Every request takes seconds, and far more is due than is on its way when the worker is asked to end."""

    def slowly(connection: socket.socket, request: bytes) -> None:
        arrived = time.monotonic()
        assert wait_until(lambda: time.monotonic() - arrived > 4.0, seconds=10)
        accept(connection, request)

    wire.script = slowly
    for page in (stage.page, stage.add_page(), stage.add_page()):
        for _ in range(30):
            stage.message(stage.contact(page=page))
    stage.commit()
    _ring_until(lambda: len(wire.requests) >= 6, redis_url, eventually)
    worker.process.terminate()
    assert worker.process.wait(patience(20)) == 0
    stage.commit()
    states = stage.states()
    assert states.keys() <= {"due", "scheduled", "sent"}, states
    assert states["sent"] == len(wire.requests)
    assert stage.one("SELECT count(*) FROM attempt WHERE outcome NOT IN ('sent', 'not_sent')") == 0


def test_the_broker_settings_are_the_safe_ones(redis_url: str) -> None:
    conf = app.conf
    assert conf.accept_content == ["json"]
    assert conf.task_ignore_result
    assert not conf.result_backend
    assert not conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    # Far more than machines' clocks may differ by (see ``workers/clocks.py``), and not for ever.
    assert all(20 <= entry["options"]["expires"] <= 120 for entry in conf.beat_schedule.values())
    assert set(conf.beat_schedule) == {"tick", "plan", "wake", "sweep", "read_profiles", "probe", "import", "retain"}
    assert {tuple(entry["args"]) for entry in conf.beat_schedule.values()} == {(name,) for name in conf.beat_schedule}
    assert conf.broker_channel_error_retry


def test_a_ring_without_a_broker_is_lost_and_nothing_else(set_environment: Callable[..., None]) -> None:
    from scheduler import doorbell

    set_environment(DULY_REDIS_URL=None)
    doorbell.ring("deliver")
    set_environment(DULY_REDIS_URL="redis://127.0.0.1:1/0")
    doorbell._last.clear()
    doorbell.ring("deliver", "plan")
    doorbell.ring("no such task")
