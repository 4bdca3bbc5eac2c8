"""A real worker whose clock is far ahead: Celery drops all that beat asks for, and the worker says so."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sqlmodel import Session

from scheduler import clock
from scheduler.api import ops
from scheduler.doorbell import producer
from scheduler.outbox.skews import skews
from tests.integration.test_worker import Worker
from tests.patience import patience
from tests.unit.delivery.stage import Stage


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def worker(database_url: str, redis_url: str, tmp_path: Path, port: int) -> Iterator[Worker]:
    started = Worker(
        tmp_path / "worker.log", {"AHEAD_SECONDS": "300", "DULY_METRICS_PORT": str(port), "DULY_LOG_FORMAT": "json"},
        "tests.integration.ahead_worker",
    )  # fmt: skip
    yield started
    started.close()


def test_it_says_that_its_clock_is_wrong_and_what_it_dropped(
    session: Session, worker: Worker, redis_url: str, port: int, eventually: Callable[..., None]
) -> None:
    stage = Stage(session, now=clock.now())
    message = stage.message(stage.contact(), state="scheduled")
    stage.commit()

    def told() -> bool:
        assert worker.process.poll() is None, worker.log.read_text()
        # As beat asks for it.
        producer(redis_url).send_task("periodic", args=["tick"], expires=60)
        log = worker.log.read_text()
        return "tasks_stale" in log and "clock_wrong" in log

    eventually(told, seconds=60, what="the worker saying that its clock is wrong")
    stage.commit()
    [skew] = skews(session)
    assert (skew.host, skew.web, round(skew.ahead / 10)) == (socket.gethostname(), False, 30)
    alerts = [each.words for each in ops.status(session, clock.now()).alerts if each.kind == "clock_wrong"]
    assert len(alerts) == 1
    assert alerts[0].endswith("ahead of the database's: it sends nothing")
    scraped = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=patience(10)).text
    [dropped] = [line for line in scraped.splitlines() if line.startswith("duly_tasks_stale_total ")]
    assert float(dropped.split()[1]) >= 1
    # And nothing was done.
    assert stage.state(message) == "scheduled"
    assert stage.rows("SELECT 1 FROM beat") == []
