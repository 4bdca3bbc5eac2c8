"""Counters for Prometheus, over all processes of a machine.

Each process counts in files of its own in ``PROMETHEUS_MULTIPROC_DIR``, which the supervisor makes and empties; whoever
is asked adds them up. Without it a process knows its own counts alone. No label ever names a person.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# The library looks at the folder when it is imported.
FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if FOLDER:
    Path(FOLDER).mkdir(parents=True, exist_ok=True)

from prometheus_client import (  # noqa: E402 - after the folder is there
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics_core import Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

_OWN = CollectorRegistry()

ATTEMPTS = Counter(
    "duly_attempts", "Attempts that ended, by their result and its kind.", ["result", "kind"], registry=_OWN
)
SEND_SECONDS = Histogram(
    "duly_send_seconds",
    "Real seconds from the first byte of a request to its answer.",
    registry=_OWN,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 20.0),
)


#: Set by whichever worker looked last.
WEB_SILENT = Gauge(
    "duly_web_silent",
    "Web processes that neither ended properly nor go on: no webhook is taken there.",
    registry=_OWN,
    multiprocess_mode="mostrecent",
)


TASKS_STALE = Counter(
    "duly_tasks_stale",
    "Tasks that a worker dropped because they were too old: its clock is ahead, or beat's is behind, or it is behind.",
    registry=_OWN,
)


def attempt_ended(result: str, kind: str, took: float | None) -> None:
    """Count an attempt; ``took`` is what its request took in real seconds, None where none was made."""
    ATTEMPTS.labels(result=result, kind=kind).inc()
    if took is not None:
        SEND_SECONDS.observe(took)


def render(more: Iterable[Metric] = ()) -> bytes:
    """All counters, and ``more``, in Prometheus' text format."""
    registry = CollectorRegistry()
    counted = _counted()
    registry.register(_Families([*counted.collect(), *more]))
    return generate_latest(registry)


def serve(port: int) -> None:
    """Answer on ``port`` with this machine's counters, in a thread of this process. Raises OSError."""
    start_http_server(port, registry=_counted())


def _counted() -> CollectorRegistry:
    if not FOLDER:
        return _OWN
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=FOLDER)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return registry


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """What is there."""
        yield from self._families
