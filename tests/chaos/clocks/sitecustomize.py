"""Loaded by every Python that a chaos run starts: lets the run step one process's clock while it runs.

``time.time`` is what ``scheduler/clock.py`` reads. Each process adds the seconds that stand in a file of its own below
``CHAOS_CLOCKS`` (eight bytes, mapped into memory), 0.0 unless a step is in force. The sandbox keeps true time.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path


def _name(argv: list[str]) -> str | None:
    words = " ".join(argv)
    if "workers.sandbox" in words:
        return None
    for name, sign in (("spare", "spare@"), ("worker", " worker "), ("beat", " beat "), ("web", "scheduler.api.app")):
        if sign in words:
            return name
    return None


def _step(place: Path) -> None:
    with place.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    machine, read = time.time, struct.Struct("d").unpack_from  # noqa: TID251 - the clock itself is what is stepped

    def stepped() -> float:
        return float(machine() + read(mapped)[0])

    time.time = stepped  # noqa: TID251 - as above


_folder, _mine = os.environ.get("CHAOS_CLOCKS"), _name(sys.orig_argv)
if _folder and _mine and (Path(_folder) / _mine).exists():
    _step(Path(_folder) / _mine)
