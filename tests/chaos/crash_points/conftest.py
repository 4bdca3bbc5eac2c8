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
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.store.embedded import Servers
from scheduler.store.process import wait_until
from scheduler.store.redis_server import free_port
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
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.page: dict[str, Any] = {}
        self.page_id = 0

    def start(self) -> None:
        self._start("sandbox", [
            "workers.sandbox", "--port", str(self._ports["sandbox"]), "--log", str(self.log), "--webhook-url",
            f"http://127.0.0.1:{self._ports['web']}/webhooks/messenger", "--app-secret", SECRET, "--verify-token",
            VERIFY, "--script", "none", "--no-fsync",
        ], f"{self.sandbox_url}/sandbox/status", {})  # fmt: skip
        self.start_web()
        self.page = self.get("/sandbox/pages")[0]

    def start_web(self, point: str = "") -> None:
        url = f"http://127.0.0.1:{self._ports['web']}/healthz"
        argv = ["uvicorn", "scheduler.api.app:create_app", "--factory", "--port", str(self._ports["web"])]
        self._start("web", argv, url, {"DULY_CRASH_POINT": point})

    def web_died(self) -> bool:
        return self._running["web"].poll() == -signal.SIGKILL

    def stop(self, *names: str) -> None:
        for name in names or tuple(self._running):
            process = self._running.pop(name)
            process.kill()
            process.wait(10)

    def _start(self, name: str, argv: list[str], url: str, more: dict[str, str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *argv], env={**self.environment, **more}, stdout=log, stderr=log
            )

        def answers() -> bool:
            try:
                return requests.get(url, timeout=2).ok
            except requests.RequestException:
                return False

        assert wait_until(answers, seconds=30), (self._folder / f"{name}.log").read_text()

    def crash(self, task: str, point: str, *arguments: str) -> None:
        """Run a task in a process of its own that dies where it is told to."""
        called = f"import sys; from workers.tasks import {task}; {task}(*sys.argv[1:])"
        ran = subprocess.run(
            [sys.executable, "-c", called, *arguments],
            env={**self.environment, "DULY_CRASH_POINT": point, "DULY_SENDER_THREADS": "1"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == -signal.SIGKILL, f"{task} never came to {point}: {ran.stdout}{ran.stderr}"

    def get(self, path: str) -> Any:
        return requests.get(self.sandbox_url + path, timeout=10).json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.sandbox_url + path, json=body, timeout=20)
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
        found = {}
        for _ in range(count):
            psid = str(self.town.post("/sandbox/person", page_id=self.town.page["id"], zone="Africa/Abidjan")["psid"])
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

    def states(self, messages: list[int]) -> list[str]:
        self.stage.commit()
        return [self.stage.state(message) for message in messages]


@pytest.fixture(scope="module")
def town(servers: Servers, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    name = f"crash_points_{next(_numbers)}"
    with psycopg.connect(servers.postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_template))
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
