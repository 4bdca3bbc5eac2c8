"""The whole of Duly on one machine: servers, web, worker, beat and, if wished, the sandbox.

    with Stack(port=0, sandbox=SandboxOptions()) as stack:
        requests.get(f"{stack.web_url}/healthz")

``start`` returns when every part is ready; ``stop`` leaves no process behind. While it runs, this process sees the same
settings as its children.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import redis
import requests

from scheduler.errors import Unavailable
from scheduler.settings import get_settings, stated
from scheduler.store import database, folder, migrate
from scheduler.store.postgres_server import PostgresServer
from scheduler.store.redis_server import RedisServer, free_port
from scheduler.supervise.folder_lock import FolderLock
from scheduler.supervise.keeper import Keeper
from scheduler.supervise.program import Program

#: Real seconds that a part may take to be ready, on a slow and busy machine.
_READY_SECONDS = 90.0
#: Longer than a worker's soft shutdown, which finishes every request that it has begun.
_WORKER_PATIENCE = 25.0
_SANDBOX_SECRETS = "sandbox.json"


@dataclass(slots=True, kw_only=True)
class SandboxOptions:
    """The stand-in for the Messenger Platform: how many people it plays, from which seed, by which script."""

    seed: int = 1
    people: int = 500
    #: ``demo`` or ``none``.
    script: str = "demo"
    #: Whether each log line is on the disk before the answer goes out.
    fsync: bool = True
    #: Real milliseconds that a message is on its way to the platform: a slow network.
    latency: int = 0


@dataclass(slots=True, frozen=True)
class SandboxSecrets:
    """What the sandbox signs and shakes hands with, kept in the data folder: pages registered once stay valid."""

    app_secret: str
    verify_token: str

    @staticmethod
    def kept(data_dir: Path) -> bool:
        """Whether this folder has been used with a sandbox before."""
        return (data_dir / _SANDBOX_SECRETS).exists()

    @staticmethod
    def of(data_dir: Path) -> SandboxSecrets:
        """Those of ``data_dir``, made on first use."""
        path = data_dir / _SANDBOX_SECRETS
        if path.exists():
            return SandboxSecrets(**json.loads(path.read_text()))
        made = SandboxSecrets(secrets.token_hex(16), secrets.token_urlsafe(16))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file)
        return made


class Stack:
    """Everything, kept running. A context manager; ``stop`` may be called twice."""

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        host: str | None = None,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        sandbox: SandboxOptions | None = None,
        embedded: bool = False,
        durable: bool = True,
        throwaway: bool = False,
        patience: float = _WORKER_PATIENCE,
    ) -> None:
        """What is left out comes from the settings.

        ``port``: 0 takes a free one. ``environment``: more ``DULY_*`` for every part, e.g. a virtual clock.
        ``embedded``: servers of its own even where addresses are set. ``durable=False``: faster, not safe against a
        crash of the machine. ``throwaway``: delete server data that lies outside the data folder when stopped.
        ``patience``: real seconds between asking the worker to end and killing it; the default lets it finish whatever
        it has begun.
        """
        settings = get_settings()
        self.data_dir = (data_dir or settings.data_dir).absolute()
        self._host = host or settings.host
        self._port = settings.port if port is None else port
        self._port_is_wished = port is not None or stated("port") is not None
        self._extra = dict(environment or {})
        self._sandbox = sandbox
        self._embedded = embedded
        self._durable = durable
        self._throwaway = throwaway
        self._patience = patience
        self._lock = FolderLock(self.data_dir)
        self._keeper: Keeper | None = None
        self._before: dict[str, str | None] = {}
        self.environment: dict[str, str] = {}
        self.database_url = ""
        self.redis_url = ""
        self.web_url = ""
        self.sandbox_url: str | None = None
        #: The port of the settings, where another program has it and a free one was taken.
        self.taken_port: int | None = None
        #: The sandbox's fsynced log of everything that it saw; what the witness judges.
        self.sandbox_log = self.data_dir / "sandbox.jsonl"

    @property
    def addresses(self) -> dict[str, str]:
        """Where people reach it, by name."""
        found = {"web": self.web_url, "api": f"{self.web_url}/docs"}
        if self.sandbox_url is not None:
            found["sandbox"] = self.sandbox_url
        return found

    @property
    def processes(self) -> dict[str, int]:
        """The process id of every part that runs now, by name: postgres, redis, sandbox, web, worker, beat."""
        return self._keeper.processes() if self._keeper is not None else {}

    @property
    def standing_by(self) -> dict[str, int]:
        """The process id of every one that waits to take over for a part that dies, by name."""
        return self._keeper.standing_by() if self._keeper is not None else {}

    @property
    def restarts(self) -> dict[str, int]:
        """How often a part that died was started again, by name."""
        return dict(self._keeper.restarts) if self._keeper is not None else {}

    def log_of(self, name: str) -> Path:
        """The file with a part's output."""
        return self.data_dir / "logs" / f"{name}.log"

    def start(self) -> Stack:
        """Start everything and wait until it is ready. Raises AlreadyRunning, Unavailable; then nothing is left."""
        self._lock.acquire()
        try:
            self._keeper = Keeper()
            self._start_servers(self._keeper)
            migrate.upgrade(self.database_url)
            self._choose_addresses()
            self._share_environment()
            self._start_programs(self._keeper)
            self._lock.write_note(addresses=self.addresses, environment=self._duly_environment())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, wait until it is gone, and let go of the folder."""
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        self._unshare_environment()
        self._lock.release()
        if self._throwaway:
            folder.remove(self.data_dir)

    def _start_servers(self, keeper: Keeper) -> None:
        database_url, redis_url = (None, None) if self._embedded else (stated("database_url"), stated("redis_url"))
        if database_url is None:
            postgres = PostgresServer(self.data_dir, durable=self._durable)
            keeper.start(postgres, seconds=_READY_SECONDS)
            database_url = postgres.url
        if redis_url is None:
            server = RedisServer(self.data_dir)
            keeper.start(server, seconds=_READY_SECONDS)
            redis_url = server.url
        self.database_url, self.redis_url = database_url, redis_url

    def _choose_addresses(self) -> None:
        port = self._port
        if port and not _is_free(self._host, port):
            if self._port_is_wished:
                raise Unavailable(
                    f"port {port} of {self._host} is in use", way_out="choose another, or 0 for a free one"
                )
            self.taken_port, port = port, 0
        self._port = port or free_port()
        reachable = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104 - compared, not bound
        self.web_url = f"http://{reachable}:{self._port}"
        if self._sandbox is not None:
            self.sandbox_url = f"http://127.0.0.1:{free_port()}"

    def _duly_environment(self) -> dict[str, str]:
        found = {
            "DULY_DATA_DIR": str(self.data_dir),
            "DULY_DATABASE_URL": self.database_url,
            "DULY_REDIS_URL": self.redis_url,
            "DULY_HOST": self._host,
            "DULY_PORT": str(self._port),
            **_own_clock(),
            **self._extra,
        }
        if self.sandbox_url is not None:
            found["DULY_GRAPH_URL"] = self.sandbox_url
        return found

    def _share_environment(self) -> None:
        for name, value in self._duly_environment().items():
            self._before[name] = os.environ.get(name)
            os.environ[name] = value
        get_settings.cache_clear()
        get_settings()  # a value that cannot be used stops us here, not in five logs
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PROMETHEUS_MULTIPROC_DIR": self._counters()}

    def _counters(self) -> str:
        """An empty folder in which the programs count: what those of an earlier start counted is gone with them."""
        made = self.data_dir / "metrics"
        made.mkdir(parents=True, exist_ok=True)
        for counted in made.glob("*.db"):
            counted.unlink()
        return str(made)

    def _unshare_environment(self) -> None:
        database.dispose()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
        get_settings.cache_clear()

    def _start_programs(self, keeper: Keeper) -> None:
        programs = [self._web_program(), self._worker_program()]
        if self._sandbox is not None and self.sandbox_url is not None:
            programs.append(self._sandbox_program(self._sandbox, self.sandbox_url))
        # Side by side: each spends its start on importing. Beat last: what it rings for finds a worker.
        keeper.start(*programs, seconds=_READY_SECONDS)
        keeper.start(self._program("beat", _celery("beat", "--scheduler", "celery.beat:Scheduler")), seconds=5)

    def _sandbox_program(self, options: SandboxOptions, url: str) -> Program:
        shared = SandboxSecrets.of(self.data_dir)
        argv = [sys.executable, "-m", "workers.sandbox", "--host", "127.0.0.1", "--port", url.rpartition(":")[2],
                "--log", str(self.sandbox_log), "--webhook-url", f"{self.web_url}/webhooks/messenger",
                # In one word each: a token may begin with a dash.
                f"--app-secret={shared.app_secret}", f"--verify-token={shared.verify_token}",
                "--graph-version", get_settings().graph_version,
                "--seed", str(options.seed), "--people", str(options.people), "--script", options.script,
                "--latency", str(options.latency)]  # fmt: skip
        if not options.fsync:
            argv.append("--no-fsync")
        return self._program("sandbox", argv, ready=lambda: _answers(f"{url}/sandbox/status"))

    def _web_program(self) -> Program:
        argv = [sys.executable, "-m", "scheduler.api", "--host", self._host, "--port", str(self._port),
                "--processes", str(get_settings().web_processes)]  # fmt: skip
        # Requests are served by threads, each of which may hold a connection.
        return self._program(
            "web", argv, ready=lambda: _answers(f"{self.web_url}/healthz"), more={"DULY_DATABASE_POOL": "10"}
        )

    def _worker_program(self) -> Program:
        argv = [sys.executable, "-m", "workers.start"]
        options = ["--concurrency", str(get_settings().worker_children), "--loglevel", get_settings().log_level]
        return self._program(
            "worker", [*argv, *options], ready=self._worker_listens, patience=self._patience,
            standby=[*argv, "--standby", *options],
        )  # fmt: skip

    def _worker_listens(self) -> bool:
        # A worker that is ready waits for tasks in a blocking pop.
        with suppress(redis.RedisError), redis.Redis.from_url(self.redis_url, socket_timeout=2) as client:
            return any(str(found.get("cmd", "")).startswith("brpop") for found in client.client_list())
        return False

    def _program(
        self,
        name: str,
        argv: list[str],
        *,
        ready: Callable[[], bool] = lambda: True,
        more: Mapping[str, str] | None = None,
        patience: float = 10.0,
        standby: list[str] | None = None,
    ) -> Program:
        return Program(
            name,
            argv,
            environment={**self.environment, **(more or {})},
            log=self.log_of(name),
            ready=ready,
            patience=patience,
            standby=standby,
        )

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _own_clock() -> dict[str, str]:
    """The virtual clock that the settings name: whoever looks at this stack from another terminal has the same."""
    settings = get_settings()
    if settings.clock_file is not None:
        return {"DULY_CLOCK_FILE": str(settings.clock_file)}
    if settings.virtual_clock is None or settings.clock_start is None:
        return {}
    return {
        "DULY_CLOCK_START": settings.clock_start.isoformat(),
        "DULY_CLOCK_RATE": repr(settings.clock_rate),
        "DULY_CLOCK_ORIGIN": repr(settings.clock_origin),
    }


def _celery(command: str, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "workers.app",
        command,
        *options,
        "--loglevel",
        get_settings().log_level,
    ]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
