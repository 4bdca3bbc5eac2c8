"""A web process that is frozen or dead takes no STOP: it shows in what still lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from scheduler import metrics
from scheduler.api.heartbeat import process_name
from scheduler.cli.main import app
from scheduler.inbox.web_processes import silent_webs, tell_alive, tell_ended, tell_silent_webs
from scheduler.logs import complaints
from scheduler.store import database
from scheduler.store.redis_server import free_port

Row = Callable[..., Any]


def seen(name: str) -> bool:
    with database.session() as session:
        return bool(
            session.execute(text("SELECT count(*) FROM web_process WHERE name = :name"), {"name": name}).scalar_one()
        )


def pass_time(seconds: int) -> None:
    """As if nobody had said anything for so long."""
    with database.session() as session:
        session.execute(
            text("UPDATE web_process SET seen_at = seen_at - :by, started_at = started_at - :by"), {"by": seconds}
        )


def silent() -> list[str]:
    with database.session() as session:
        return [each.name for each in silent_webs(session)]


@pytest.fixture
def process(database_url: str, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A web process of its own."""
    command = [sys.executable, "-m", "scheduler.api", "--port", str(free_port())]
    with subprocess.Popen(command, env=dict(os.environ)) as started:
        yield started
        if started.poll() is None:
            started.send_signal(signal.SIGCONT)
            started.terminate()
            started.wait(30)


def test_a_frozen_process_is_noticed_until_it_goes_on(process: subprocess.Popen[bytes], eventually: Any) -> None:
    name = f"{os.uname().nodename}/{process.pid}"
    eventually(lambda: seen(name), seconds=60, what="its first sign of life")
    assert silent() == []
    process.send_signal(signal.SIGSTOP)
    pass_time(60)
    assert silent() == [name]
    process.send_signal(signal.SIGCONT)
    eventually(lambda: silent() == [], seconds=60, what="it going on")
    process.terminate()
    assert process.wait(30) in (0, -signal.SIGTERM)
    # It has ended as it should: nobody misses it.
    assert not seen(name)


def test_a_killed_process_is_noticed_until_another_stands_in_for_it(
    process: subprocess.Popen[bytes], eventually: Any
) -> None:
    name = f"{os.uname().nodename}/{process.pid}"
    eventually(lambda: seen(name), seconds=60, what="its first sign of life")
    process.kill()
    process.wait(30)
    pass_time(60)
    assert silent() == [name]
    with database.session() as session:
        tell_alive(session, "another/1")
    assert silent() == []


def test_one_process_stands_in_for_one(session: Session) -> None:
    for name in ("a/1", "a/2"):
        tell_alive(session, name)
    session.execute(text("UPDATE web_process SET seen_at = seen_at - 60, started_at = started_at - 600"))
    tell_alive(session, "a/3")
    assert [each.name for each in silent_webs(session)] == ["a/2"]
    tell_alive(session, "a/4")
    assert silent_webs(session) == []
    # One that was there all along stands in for nobody.
    session.execute(text("UPDATE web_process SET started_at = started_at - 600 WHERE name IN ('a/3', 'a/4')"))
    assert [each.name for each in silent_webs(session)] == ["a/1", "a/2"]
    tell_ended(session, "a/1")
    # However long it is gone, it is missed.
    session.execute(text("UPDATE web_process SET seen_at = seen_at - 900000 WHERE name = 'a/2'"))
    session.execute(text("UPDATE web_process SET started_at = started_at - 990000"))
    assert tell_silent_webs(session) == 1
    assert [each.name for each in silent_webs(session)] == ["a/2"]
    # Until another takes its place: then it is forgotten.
    tell_alive(session, "a/5")
    assert tell_silent_webs(session) == 0
    assert session.execute(text("SELECT count(*) FROM web_process WHERE name = 'a/2'")).scalar_one() == 0


def test_somebody_says_that_it_is_gone_for_good(session: Session) -> None:
    tell_alive(session, "b/1")
    session.execute(text("UPDATE web_process SET seen_at = seen_at - 900000"))
    tell_alive(session, "b/2")
    session.execute(text("UPDATE web_process SET started_at = started_at - 990000"))
    session.commit()
    assert silent() == ["b/1"]
    run = CliRunner()
    for unknown in ("b/2", "b/9"):
        assert run.invoke(app, ["ops", "web-gone", unknown]).exit_code != 0
    done = run.invoke(app, ["ops", "web-gone", "b/1", "--as", "ana"])
    assert done.exit_code == 0, done.output
    assert silent() == []
    told = session.execute(text("SELECT actor, subject FROM audit_entry WHERE action = 'ops.web_gone'")).all()
    assert [tuple(row) for row in told] == [("ana", "web:b/1")]


def test_whoever_looks_is_told(client: TestClient, api: Any, session: Session, eventually: Any) -> None:
    eventually(lambda: seen(process_name()), what="this process being seen")
    tell_alive(session, "web-2/7")
    session.execute(text("UPDATE web_process SET seen_at = seen_at - 60 WHERE name = 'web-2/7'"))
    session.execute(text("UPDATE web_process SET started_at = started_at - 600"))
    session.commit()
    (alert,) = [each for each in api("GET", "/ops/status").json()["alerts"] if each["kind"] == "web_silent"]
    assert alert["words"].startswith("the web process web-2/7 last did something 6")
    complaints.forget()
    with capture_logs() as logs:
        assert tell_silent_webs(session) == 1
    assert [(each["event"], each["process"]) for each in logs] == [("web_silent", "web-2/7")]
    # The workers' own metrics tell it, too: they live where every web process is dead.
    assert b"duly_web_silent 1.0" in metrics.render()
    tell_ended(session, "web-2/7")
    assert tell_silent_webs(session) == 0
    assert b"duly_web_silent 0.0" in metrics.render()
