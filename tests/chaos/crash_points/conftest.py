"""A small town for crashes: one database, one sandbox, one web process that can be let die, and workers that do."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg import sql
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.content.templates import save_template
from scheduler.governance.policies import activate_policy
from scheduler.outbox.tick import tick
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.store.embedded import Servers
from scheduler.store.redis_server import free_port
from tests.daytime import zone_at_noon
from tests.forked import start_task, start_web
from tests.patience import patience, wait_until
from tests.unit.delivery.stage import Stage
from workers.sandbox.log import read_log

SECRET, VERIFY = "0123456789abcdef", "verify-me"
_numbers = itertools.count(1)


class Town:
    """What a test of a crash needs. Every test has its own people; nobody cleans up."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        self.log = folder / "sandbox.jsonl"
        self._folder = folder
        self._ports = {"web": free_port(), "sandbox": free_port()}
        self.sandbox_url = f"http://127.0.0.1:{self._ports['sandbox']}"
        self.environment["DULY_GRAPH_URL"] = self.sandbox_url
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._web: ForkServerProcess | None = None
        self.page: dict[str, Any] = {}
        self.page_id = 0

    def start(self) -> None:
        argv = [sys.executable, "-m", "workers.sandbox", "--port", str(self._ports["sandbox"]), "--log", str(self.log),
                "--webhook-url", f"http://127.0.0.1:{self._ports['web']}/webhooks/messenger", "--app-secret", SECRET,
                "--verify-token", VERIFY, "--script", "none", "--no-fsync"]  # fmt: skip
        with (self._folder / "sandbox.log").open("ab") as log:
            self._sandbox = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log)
        self._wait_for("sandbox", f"{self.sandbox_url}/sandbox/status")
        self.start_web()
        self.page = self.get("/sandbox/pages")[0]

    def start_web(self, point: str = "") -> None:
        environment = {**self.environment, "DULY_CRASH_POINT": point}
        self._web = start_web(self._ports["web"], environment=environment, log=self._folder / "web.log")
        self._wait_for("web", f"http://127.0.0.1:{self._ports['web']}/healthz")

    def web_died(self) -> bool:
        return self._web is not None and self._web.exitcode == -signal.SIGKILL

    def stop_web(self) -> None:
        if self._web is not None:
            self._web.kill()
            self._web.join(patience(10))
            self._web.close()
            self._web = None

    def stop(self) -> None:
        self.stop_web()
        if self._sandbox is not None:
            self._sandbox.kill()
            self._sandbox.wait(patience(10))

    def _wait_for(self, name: str, url: str) -> None:
        def answers() -> bool:
            try:
                return requests.get(url, timeout=patience(2)).ok
            except requests.RequestException:
                return False

        assert wait_until(answers, seconds=30), (self._folder / f"{name}.log").read_text()

    def run(self, task: str, point: str, *arguments: str) -> int | None:
        """Run a task in a process of its own that dies where it is told to; its exit status."""
        environment = {**self.environment, "DULY_CRASH_POINT": point, "DULY_SENDER_THREADS": "1"}
        process = start_task(task, *arguments, environment=environment, log=self._folder / "task.log")
        process.join(patience(60))
        status = process.exitcode
        process.close()
        return status

    def task_log(self) -> str:
        return (self._folder / "task.log").read_text()

    def get(self, path: str) -> Any:
        return requests.get(self.sandbox_url + path, timeout=patience(10)).json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.sandbox_url + path, json=body, timeout=patience(20))
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def accepted(self) -> Counter[str]:
        """How often the platform accepted each message, by the witness."""
        records = list(read_log(self.log))
        taken = {record["n"] for record in records if record["kind"] == "answer" and record.get("mid")}
        return Counter(
            json.loads(record["body"])["message"]["metadata"].partition(".")[0]
            for record in records
            if record["kind"] == "request" and record["n"] in taken
        )


class Scene:
    """One test's view: a stage on the town's page."""

    def __init__(self, town: Town, session: Session, eventually: Callable[..., None]) -> None:
        self.town, self.session, self.eventually = town, session, eventually
        self.stage = Stage.__new__(Stage)
        self.stage.session, self.stage.now, self.stage.pages = session, clock.now(), [town.page_id]
        self.stage.templates = {
            (row.page_id, row.name): row.id for row in self.stage.rows("SELECT id, page_id, name FROM template")
        }

    def people(self, count: int) -> dict[str, int]:
        """psid → contact id of people who have just written."""
        found, zone = {}, zone_at_noon(clock.now())
        for _ in range(count):
            psid = str(self.town.post("/sandbox/person", page_id=self.town.page["id"], zone=zone)["psid"])
            assert self.town.post("/sandbox/say", psid=psid, kind="message")["delivered"]
            found[psid] = 0
        self.stage.commit()
        for psid in found:
            found[psid] = int(self.stage.one("SELECT id FROM contact WHERE psid = :psid", psid=psid))
        return found

    def messages(self, count: int, **values: Any) -> list[int]:
        """A message to each of ``count`` new people."""
        made = [self.stage.message(contact, **values) for contact in self.people(count).values()]
        self.stage.commit()
        return made

    def crash(self, task: str, point: str, *arguments: str) -> bool:
        """Run a task in a process of its own that dies where it is told to; whether it came there."""
        status = self.town.run(task, point, *arguments)
        assert status in (0, -signal.SIGKILL), f"{task} ended with {status}: {self.town.task_log()}"
        return status != 0

    def later(self) -> None:
        """What was given back for a while is due."""
        tick(self.session, clock.now() + 30)
        self.stage.commit()

    def states(self, messages: list[int]) -> list[str]:
        self.stage.commit()
        return [self.stage.state(message) for message in messages]


@pytest.fixture(scope="module")
def town(servers: Servers, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    name = f"crash_points_{next(_numbers)}"
    with psycopg.connect(servers.postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(_template)
            )
        )
    environment = {
        **os.environ,
        "DULY_DATABASE_URL": servers.postgres.url_of(name),
        "DULY_REDIS_URL": servers.redis_url,
    }
    made = Town(tmp_path_factory.mktemp("town"), environment)
    try:
        made.start()
        _register(made)
        yield made
    finally:
        made.stop()
        database.dispose()
        with psycopg.connect(servers.postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _register(town: Town) -> None:
    patch = pytest.MonkeyPatch()
    patch.setenv("DULY_DATABASE_URL", town.environment["DULY_DATABASE_URL"])
    get_settings.cache_clear()
    with database.session() as session:
        now = clock.now()
        page = add_page(
            session, app_external_id=town.page["app_id"], app_secret=SECRET, verify_token=VERIFY,
            external_id=town.page["id"], name=town.page["name"], token=town.page["access_token"], mode="live", rate=39,
            now=now,
        )  # fmt: skip
        assert page.id is not None
        town.page_id = page.id
        activate_policy(session, page.id, load_policy("platform-only"), actor="test", why="test", now=now)
        save_template(
            session, page.id, name="promotional", category="promotional", default_locale="en",
            bodies={"en": {"text": "Hello"}}, utility_name=None, utility_approved=False, actor="test", now=now,
        )  # fmt: skip
    database.dispose()
    patch.undo()
    get_settings.cache_clear()


@pytest.fixture
def scene(town: Town, set_environment: Callable[..., None], eventually: Callable[..., None]) -> Iterator[Scene]:
    names = ("DULY_DATABASE_URL", "DULY_REDIS_URL", "DULY_GRAPH_URL")
    set_environment(**{name: town.environment[name] for name in names})
    with Session(database.engine(), expire_on_commit=False) as session:
        yield Scene(town, session, eventually)
        session.rollback()
    database.dispose()
