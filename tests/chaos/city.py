"""The run's processes: Duly's own stack, a second worker, sometimes a second beat; and hands to hurt each of them."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scheduler.supervise.first_key import first_key
from scheduler.supervise.keeper import Keeper
from scheduler.supervise.program import Program
from scheduler.supervise.stack import SandboxOptions, Stack
from tests.patience import patience, wait_until

CLOCKS = Path(__file__).parent / "clocks"
#: Processes whose clock can be stepped.
STEPPED = ("worker", "spare", "web", "beat")
#: Real seconds for which a call is repeated while a part that died is being restarted.
_PATIENCE = 180.0

_Found = TypeVar("_Found")


class Http:
    """A client that asks again while what it asks is away. Only for calls that may be made twice."""

    def __init__(self, base: str, key: str | None = None) -> None:
        self._base = base
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.mount("http://", HTTPAdapter(pool_maxsize=16, max_retries=Retry(0)))
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"

    def call(self, method: str, path: str, body: Any = None, *, fine: tuple[int, ...] = ()) -> Any:
        """Its JSON answer. ``fine``: statuses that are as good as success, e.g. 409 of what was done already."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                answer = self._http.request(method, self._base + path, json=body, timeout=(3, 20))
            except requests.RequestException:
                answer = None
            if answer is not None and (answer.ok or answer.status_code in fine):
                return answer.json() if answer.content else None
            if time.monotonic() > end or (answer is not None and answer.status_code < 500):
                said = answer.text[:500] if answer is not None else "nothing"
                raise RuntimeError(f"{method} {path} answered {said}")
            time.sleep(0.2)

    def close(self) -> None:
        self._http.close()


class City:
    """Everything that runs. A context manager."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], *, sandbox: SandboxOptions) -> None:
        self._clocks = data_dir / "clocks"
        self._clocks.mkdir(parents=True)
        for name in STEPPED:
            (self._clocks / name).write_bytes(struct.pack("d", 0.0))
        self._outer = {name: os.environ.get(name) for name in ("CHAOS_CLOCKS", "PYTHONPATH")}
        self.stack = Stack(
            data_dir=data_dir, port=0, environment=environment, sandbox=sandbox, embedded=True, durable=False,
            throwaway=True,
        )  # fmt: skip
        self._spares: dict[str, Keeper] = {}

    def __enter__(self) -> City:
        os.environ["CHAOS_CLOCKS"] = str(self._clocks)
        before = self._outer["PYTHONPATH"]
        os.environ["PYTHONPATH"] = str(CLOCKS) + (os.pathsep + before if before else "")
        try:
            self.stack.start()
        except BaseException:
            self.__exit__()
            raise
        key, _path = first_key(self.stack.data_dir)
        self.api = Http(f"{self.stack.web_url}/api/v1", key)
        self.sandbox = Http(f"{self.stack.sandbox_url}/sandbox")
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._spares):
            self.end_spare(name)
        self.stack.stop()
        for name, value in self._outer.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    # Spare processes

    def start_spare(self, name: str) -> None:
        """``spare``: a second worker, on its own supervisor. ``second beat``: what its name says."""
        command = (
            ["worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--hostname", "spare@%h"]
            if name == "spare"
            else ["beat", "--scheduler", "celery.beat:Scheduler"]
        )
        argv = [sys.executable, "-m", "celery", "-A", "workers.app", *command, "--loglevel", "info"]
        keeper = self._spares[name] = Keeper()
        program = Program(
            name, argv, environment=self.stack.environment, log=self.stack.log_of(name.replace(" ", "-")),
            ready=lambda: True, patience=25.0,
        )  # fmt: skip
        keeper.start(program, seconds=30)

    def end_spare(self, name: str) -> None:
        """End it in order."""
        keeper = self._spares.pop(name, None)
        if keeper is not None:
            keeper.stop()

    # Who runs

    def pid(self, name: str) -> int | None:
        """The process id of a part: postgres, redis, web, worker, beat, spare."""
        return {
            **self.stack.processes,
            **{k: p for each in self._spares.values() for k, p in each.processes().items()},
        }.get(name)

    def children(self, name: str) -> list[int]:
        """The pool of a worker."""
        pid = self.pid(name)
        with suppress(OSError):
            return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    @property
    def restarts(self) -> dict[str, int]:
        """How often each part was started again."""
        return dict(self.stack.restarts) | {
            name: count for each in self._spares.values() for name, count in each.restarts.items()
        }

    # Hands

    def signal(self, name: str, number: signal.Signals, *, whole: bool = False) -> bool:
        """Send a signal to a part, or with ``whole`` to it and its children; False when it does not run now."""
        pid = self.pid(name)
        if pid is None:
            return False
        for each in (*(self.children(name) if whole else ()), pid):
            with suppress(ProcessLookupError):
                os.kill(each, number)
        return True

    def step_clock(self, name: str, seconds: float) -> None:
        """Let a process's clock be ``seconds`` (real) off from now on."""
        with (self._clocks / name).open("r+b") as file:
            file.write(struct.pack("d", seconds))

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        with redis.Redis.from_url(self.stack.redis_url, socket_timeout=patience(2)) as client:
            yield client

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database, patiently."""

        def ask() -> list[tuple[Any, ...]]:
            with psycopg.connect(
                self.stack.database_url, autocommit=True, connect_timeout=int(patience(3))
            ) as connection:
                return connection.execute(statement, values).fetchall()

        return patiently(ask, psycopg.OperationalError)

    def log_has(self, name: str, words: str) -> int:
        """How many lines of a part's log have these words."""
        with suppress(OSError):
            return sum(words in line for line in self.stack.log_of(name).read_text(errors="replace").splitlines())
        return 0


def patiently(act: Callable[[], _Found], *errors: type[Exception]) -> _Found:
    """Do it again while it fails with one of ``errors``."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except errors:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time."""
    return wait_until(condition, seconds=seconds, every=0.25)
