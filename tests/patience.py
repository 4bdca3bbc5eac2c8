"""How long a test waits before it says that something does not happen: the one place where the machine counts.

No test asserts a speed. Each waits for a condition, with a deadline that only something broken misses: written down for
a quick machine, and multiplied here by how slow this one is now.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from scheduler.store import process

#: The measured factor, handed on to the processes that share a run.
_VARIABLE = "TESTS_SLOWNESS"
#: What starts and imports, like everything that tests start, and how many real seconds a quick machine takes for it.
_PROBE = "import celery.app, pydantic, requests, sqlalchemy.orm"
_QUICK = 1.0
#: Beyond that: what else happens on the machine while a test runs is not known when it is measured.
_GENEROUS = 4.0


def slowness() -> float:
    """How many times slower than a quick machine this one starts a program; 1 at the least. Measured once a run."""
    if _VARIABLE not in os.environ:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", _PROBE], check=True)
        os.environ[_VARIABLE] = repr(max(1.0, (time.monotonic() - began) / _QUICK))
    return float(os.environ[_VARIABLE])


def patience(seconds: float) -> float:
    """The deadline, in real seconds, of what takes far less than ``seconds`` on a quick machine."""
    return seconds * _GENEROUS * slowness()


def wait_until(done: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Poll ``done`` until it is true or the deadline of ``seconds`` is over; says which."""
    return process.wait_until(done, seconds=patience(seconds), every=every)
