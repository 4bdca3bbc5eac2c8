"""Starts and stops one operating system process that dies with us, whatever ends us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LEASH = Path(__file__).parent / "leash.py"


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: tuple[int, int] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    listens: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a session of its own, its output appended to ``log``, optionally as ``user`` (uid, gid).

    ``listens``: its standard input is a pipe from us; else it is empty.
    On Linux it receives ``death_signal`` when the calling *thread* ends: call from one that lives as long as it should.
    """
    uid, gid = ("-", "-") if user is None else (str(user[0]), str(user[1]))
    leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), str(int(death_signal)), uid, gid, "--"]
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [*leash, *argv],
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], *, ask: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> None:
    """Ask ``process`` to end, wait ``patience`` real seconds, then kill its whole group. Returns when it is gone."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(ask)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    # The group outlives its leader when that crashed: children of a killed worker must go too.
    kill_group(process.pid)
    process.wait()


def kill_group(pid: int) -> None:
    """Kill what is left of the group that ``spawn`` made for ``pid``; nothing left is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def wait_until(done: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Poll ``done`` until it is true or ``seconds`` of real time have passed; says which."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def command_of(pid: int) -> str | None:
    """The command line of a running process, or None when there is none with that id."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or None
    except OSError:
        if Path("/proc/self").exists():
            return None
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
