"""What the kernel knows of processes and cores: processor time, memory, who else was busy."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
#: The core that sends, and the core of everything else: platform, database, Redis.
CLIENT_CORE, SERVER_CORE = 0, 1


@dataclass(slots=True)
class Window:
    """What happened between two readings."""

    seconds: float
    #: Processor seconds of the process that was watched.
    cpu: float
    #: Share of its core that others had meanwhile.
    others: float

    @property
    def full(self) -> float:
        """How much of what the core had left was used."""
        return self.cpu / max(1e-9, self.seconds * (1.0 - self.others))


class Watch:
    """Watches one process on one core, from now until ``read``."""

    def __init__(self, pid: int, core: int = CLIENT_CORE) -> None:
        self._pid, self._core = pid, core
        self._began, self._cpu, self._busy = time.monotonic(), cpu_seconds(pid), _busy(core)

    def read(self) -> Window:
        """What happened since it was made."""
        seconds = time.monotonic() - self._began
        cpu = cpu_seconds(self._pid) - self._cpu
        return Window(seconds, cpu, min(0.99, max(0.0, (_busy(self._core) - self._busy - cpu) / seconds)))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident_megabytes(pid: int) -> float:
    """Its memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576


def children(pid: int) -> list[int]:
    """The processes that it started and that still run."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family(pid: int) -> list[int]:
    """It and all that descend from it."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def pin(pid: int, core: int | None) -> None:
    """Keep a process, its threads and its descendants on one core (None: on any)."""
    cores = set(range(os.cpu_count() or 1)) if core is None else {core % (os.cpu_count() or 1)}
    for each in family(pid):
        with suppress(OSError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), cores)


def load() -> float:
    """Processes that wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def _busy(core: int) -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, irq, softirq = (int(field) for field in line.split()[1:8])
            return (user + nice + system + irq + softirq) / _TICK
    return 0.0
