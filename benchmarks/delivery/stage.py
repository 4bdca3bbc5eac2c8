"""Real servers, a migrated database, pages and people for a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
import requests
from sqlmodel import Session

from benchmarks.delivery import machine
from scheduler import logs
from scheduler import settings as settings_module
from scheduler.content.templates import save_template
from scheduler.doorbell import producer
from scheduler.pages.registry import add_page
from scheduler.settings import get_settings
from scheduler.store import database, migrate, process
from scheduler.store.embedded import Servers

#: 2026-03-10 12:00:00 UTC, a Tuesday noon: what the clock shows when a benchmark begins, whatever hour it is.
NOON = 1_773_144_000
_DAY = 86_400
_TEXT = "Hello {{ contact.first_name | default: 'you' }}, your size is back"


class Stage:
    """The servers on their core, and hands to fill and watch them."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder, self.servers = folder, servers
        self.pages: list[int] = []
        self.templates: dict[int, int] = {}

    @property
    def url(self) -> str:
        return self.servers.database_url

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]  # ours, none is made of input
            return cursor.fetchall() if cursor.description else []

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.servers.redis_url)

    def add_pages(self, count: int, *, rate: int = 30) -> None:
        """Live pages under the built-in policy ``default``, each with a template."""
        with Session(database.engine(), expire_on_commit=False) as session:
            for number in range(len(self.pages) + 1, len(self.pages) + count + 1):
                page = add_page(
                    session, app_external_id="77", app_secret="a-secret-of-the-stage", verify_token="verify-me",
                    external_id=f"1000{number}", name=f"Shop {number}", token=f"EAA-token-{number}", mode="live",
                    rate=rate, now=NOON,
                )  # fmt: skip
                template = save_template(
                    session, page.id, name="promotional", category="promotional", default_locale="en",
                    bodies={"en": {"text": _TEXT}}, utility_name=None, utility_approved=False, actor="benchmark",
                    now=NOON,
                )  # fmt: skip
                assert page.id is not None
                assert template.id is not None
                self.pages.append(page.id)
                self.templates[page.id] = template.id
            session.commit()

    def add_contacts(self, count: int, *, pages: Sequence[int] | None = None) -> None:
        """People for whom it is noon, who wrote two hours ago."""
        self.query(
            """
            INSERT INTO contact (page_id, psid, first_name, locale, country, timezones, timezones_source,
                last_inbound_at, created_at)
            SELECT (%s::integer[])[1 + n %% %s], (7000000000000000 + n)::text, 'Alex', 'en_US', NULL, '{UTC}', 'api',
                %s, %s
            FROM generate_series((SELECT count(*) FROM contact) + 1, (SELECT count(*) FROM contact) + %s) AS n
            """,
            list(pages or self.pages), len(pages or self.pages), NOON - 7200, NOON - 30 * _DAY, count,
        )  # fmt: skip

    def add_messages(self, count: int, *, state: str = "due", due_at: int = NOON, after: int = 0) -> None:
        """One message to each of the first ``count`` contacts with an id over ``after``."""
        self.query(
            """
            INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, due_at, deadline,
                attempts, crashes, created_at)
            SELECT c.page_id, c.id, t.id, 'promotional', 'promotional', %s, %s, %s, %s, 0, 0, %s
            FROM (SELECT id, page_id FROM contact WHERE id > %s ORDER BY id LIMIT %s) c
            JOIN template t ON t.page_id = c.page_id
            """,
            state, NOON, due_at, max(due_at, NOON) + 20 * 3600, NOON, after, count,
        )  # fmt: skip

    def clear(self) -> None:
        """Forget all people and what was sent to them."""
        self.query("TRUNCATE message_log, attempt, message, contact RESTART IDENTITY CASCADE")
        self.query("VACUUM ANALYZE")
        with self.redis() as client:
            client.flushall()

    def told(self) -> str:
        """What there is, and the end of the worker's log: for an error."""
        states = self.query("SELECT state, reason, count(*) FROM message GROUP BY 1, 2")
        log = process.tail(self.folder / "logs" / "worker.log", 2)
        return f"{states}\n{log[:3000]}"

    def settle_down(self) -> None:
        """Let the database write out what it has, so that it does not while something is measured."""
        self.query("VACUUM ANALYZE")
        self.query("CHECKPOINT")


@contextmanager
def staged(*, keep: Path | None = None, pinned: bool = True) -> Iterator[Stage]:
    """Servers in a folder of their own, without fsync, on the servers' core (or any, if not ``pinned``); settings that
    point to them."""
    settings_module.ENV_FILE = None
    for name in [name for name in os.environ if name.upper().startswith("DULY_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="duly-bench-") as made:
        folder = keep or Path(made)
        os.environ |= {
            "DULY_DATA_DIR": str(folder),
            "DULY_CLOCK_START": datetime.fromtimestamp(NOON, UTC).isoformat(),
            "DULY_CLOCK_RATE": "1.0",
            "DULY_CLOCK_ORIGIN": repr(time.time()),  # noqa: TID251 - the origin of a virtual clock is the machine's
            "DULY_LOG_LEVEL": "warning",
        }
        with Servers(folder, durable=False, throwaway=keep is None) as servers:
            os.environ |= {"DULY_DATABASE_URL": servers.database_url, "DULY_REDIS_URL": servers.redis_url}
            get_settings.cache_clear()
            logs.configure("warning", "json")
            migrate.upgrade(servers.database_url)
            stage = Stage(folder, servers)
            stage.query("ALTER SYSTEM SET shared_buffers = '1GB'")
            stage.query("ALTER SYSTEM SET max_wal_size = '8GB'")
            servers.postgres.stop()
            servers.postgres.start()
            for server in (servers.postgres.process, servers.redis.process):
                if pinned and server is not None:
                    machine.pin(server.pid, machine.SERVER_CORE)
            try:
                yield stage
            finally:
                database.dispose()
                get_settings.cache_clear()


class Platform:
    """A responder on the servers' core. A context manager."""

    def __init__(self, latency: int, *, pinned: bool = True) -> None:
        self._latency, self._pinned = latency, pinned

    def __enter__(self) -> Platform:
        argv = [sys.executable, "-m", "benchmarks.delivery.responder", "--latency", str(self._latency)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        if self._pinned:
            machine.pin(self._process.pid, machine.SERVER_CORE)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self._http = requests.Session()
        self._http.trust_env = False
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._http.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tally(self) -> dict[str, float]:
        """Requests so far, how many carried a message seen before, and when."""
        return dict(self._http.get(f"{self.url}/tally", timeout=30).json())


class Worker:
    """A real Celery worker of one child on the client's core. A context manager."""

    def __init__(
        self, stage: Stage, platform_url: str, *, threads: int, core: int | None = machine.CLIENT_CORE
    ) -> None:
        self._stage, self._core = stage, core
        self._environment = {
            **os.environ,
            "DULY_GRAPH_URL": platform_url,
            "DULY_SENDER_THREADS": str(threads),
            "DULY_WORKER_CHILDREN": "1",
        }

    def __enter__(self) -> Worker:
        argv = [
            sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--concurrency", "1", "--without-gossip",
            "--without-mingle", "--loglevel", "warning",
        ]  # fmt: skip
        log = self._stage.folder / "logs" / "worker.log"
        self.process = process.spawn(argv, log=log, env=self._environment)
        if not process.wait_until(lambda: bool(self._pool()), seconds=60):
            raise RuntimeError(f"the worker did not start:\n{process.tail(log)}")
        machine.pin(self.process.pid, self._core)
        return self

    @property
    def child(self) -> int:
        """The process that delivers: the pool may have replaced it since."""
        if not process.wait_until(lambda: bool(self._pool()), seconds=60):
            raise RuntimeError(self._stage.told())
        return self._pool()[0]

    def _pool(self) -> list[int]:
        return machine.children(self.process.pid)

    def ring(self, times: int = 1) -> None:
        """Let it deliver, one time slice after the other."""
        for _ in range(times):
            producer(self._stage.servers.redis_url).send_task("deliver", args=["promotional"])

    def __exit__(self, *_: object) -> None:
        process.stop(self.process, patience=20.0)


class Bare:
    """The bare loop, a process of its own on the client's core. A context manager."""

    def __init__(self, url: str, threads: int) -> None:
        self._argv = [sys.executable, "-m", "benchmarks.delivery.bare", url, str(threads)]

    def __enter__(self) -> Bare:
        self.process = subprocess.Popen(self._argv)
        machine.pin(self.process.pid, machine.CLIENT_CORE)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
