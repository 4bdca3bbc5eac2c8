"""Odd text is read in a process apart, which may be killed: nothing that anybody sends can hold up a webhook.

Python reads a text without letting any other thread run. So what parses foreign languages (Liquid, TOML) runs in one
warm child of each web process, with limits of its own (``apart_child.py``). One text is read at a time, a few wait for
their turn, and whoever comes on top of that is asked to come again.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends

from scheduler.errors import Busy, Invalid, Unavailable
from scheduler.logs import get_logger

_log = get_logger(__name__)

_ROOT = Path(__file__).parents[2]
#: Real seconds for one text, for the child's start, and for the turn of whoever waits; how many may wait.
_DEADLINE = 10.0
_START = 60.0
_PATIENCE = 8.0
_WAITING = 4


class Apart:
    """The child of this process. ``ask`` is called from many threads; no connection is to be held meanwhile."""

    def __init__(self, command: Sequence[str] = (), deadline: float = _DEADLINE, patience: float = _PATIENCE) -> None:
        """``command`` starts another program in the child's place; the others are real seconds. All of it for tests."""
        self._command = [*command] or [sys.executable, "-m", "scheduler.api.apart_child"]
        self._deadline, self._patience = deadline, patience
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + _WAITING)
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self, job: str, *, field: str, seconds: float = 0.0, **given: object) -> dict[str, Any]:
        """What the child makes of ``given``, for which it may take ``seconds`` more than for a text.

        Raises Invalid with its words, or naming ``field`` where the text costs too much; Busy when too many ask.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("too many texts are being read just now", way_out="send it again in a moment")
        try:
            if not self._turn.acquire(timeout=self._patience):
                raise Busy("other texts are being read just now", way_out="send it again in a moment")
            try:
                answer = self._asked({"job": job, "given": given, "seconds": seconds})
            finally:
                self._turn.release()
        finally:
            self._places.release()
        if answer is None or "too_much" in answer:
            _log.warning("text_too_costly", job=job)
            raise Invalid("takes too much time or memory to read", field=field, way_out="write it more simply")
        if "refused" in answer:
            raise Invalid(**answer["refused"])
        done: dict[str, Any] = answer["done"]
        return done

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._kill()

    def _asked(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The child's answer; None, and no child is left, when it did not come in time or the child died over it."""
        line = json.dumps(asked).encode() + b"\n"
        child = self._running()
        if not _given(child, line):
            # It was dead before it had the text, whatever ended it.
            self._kill()
            child = self._running()
            _given(child, line)
        answer = _line(child, self._deadline + asked["seconds"])
        if answer is None or "too_much" in answer or "last" in answer:
            self._kill()
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        """The child, started where there is none. Raises Unavailable."""
        if self._child is not None and self._child.poll() is not None:
            self._kill()  # somebody else ended it
        if self._child is None:
            # Nothing of ours is handed on: neither settings nor secrets.
            kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
            try:
                self._child = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=_ROOT,
                    env=kept | {"PYTHONPATH": str(_ROOT)},
                )  # fmt: skip
            except OSError as error:
                raise Unavailable("no process can be started to read the text", way_out="try again") from error
            if _line(self._child, _START) is None:
                self._kill()
                raise Unavailable("the process that reads texts did not start", way_out="try again")
        return self._child

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _given(child: subprocess.Popen[bytes], line: bytes) -> bool:
    assert child.stdin is not None
    try:
        child.stdin.write(line)
        child.stdin.flush()
    except OSError:
        return False
    return True


def _line(child: subprocess.Popen[bytes], seconds: float) -> dict[str, Any] | None:
    """The next line that the child writes; None when it has ended or ``seconds`` are over."""
    assert child.stdout is not None
    until, parts = time.monotonic() + seconds, list[bytes]()
    # Not select(), which knows the first thousand descriptors alone.
    told = select.poll()
    told.register(child.stdout, select.POLLIN)
    while True:
        ready = told.poll(max(0.0, until - time.monotonic()) * 1000)
        part = os.read(child.stdout.fileno(), 1 << 16) if ready else b""
        if not part:
            return None
        parts.append(part)
        if part.endswith(b"\n"):
            said: dict[str, Any] = json.loads(b"".join(parts))
            return said


@cache
def the_apart() -> Apart:
    """The process apart of this process. It ends with it, whatever ends it: nobody writes to its input any more."""
    made = Apart()
    atexit.register(made.close)
    return made


#: A parameter of a dependency.
TheApart = Annotated[Apart, Depends(the_apart)]
