"""Tells the workers that there is something to do, by task name. A lost ring costs a second: PostgreSQL is the truth.

Call ``ring`` after the commit, never inside the transaction: a worker that comes too early finds nothing.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache

from celery import Celery

from scheduler.logs import get_logger
from scheduler.outbox.states import LANES
from scheduler.settings import get_settings

_log = get_logger(__name__)

#: Everything that may be rung for, with the tasks it stands for.
_TASKS: dict[str, list[tuple[str, list[str]]]] = {
    "deliver": [("deliver", [lane]) for lane in LANES],
    "plan": [("plan", [])],
    "read_profiles": [("read_profiles", [])],
    "import": [("import", [])],
}
#: Real seconds within which one ring is enough: a hundred webhooks a second need no hundred rings.
_QUIET = 0.1
_last: dict[str, float] = {}
_turn = threading.Lock()


def ring(*task_names: str) -> None:
    """Nudge the workers to run ``deliver`` or ``plan`` now. Never raises: beat rings again within a second."""
    try:
        url = get_settings().redis_url
        for name in task_names:
            tasks = _TASKS[name]
            if url is None or not _worth_it(name):
                continue
            for task, arguments in tasks:
                producer(url.get_secret_value()).send_task(task, args=arguments, expires=5, retry=False)
    except Exception as error:  # whatever it is: the caller's work is committed, and beat comes by
        _log.warning("ring_lost", tasks=list(task_names), error=type(error).__name__)


def workers(patience: float = 1.0) -> list[str]:
    """The names of the workers that answer within ``patience`` real seconds; none where Redis does not answer."""
    url = get_settings().redis_url
    if url is None:
        return []
    try:
        answers = producer(url.get_secret_value()).control.ping(timeout=patience)
    except Exception as error:  # whatever it is: nobody answered
        _log.warning("workers_unknown", error=type(error).__name__)
        return []
    return sorted(name for answer in answers or () for name in answer)


@lru_cache(maxsize=4)
def producer(url: str) -> Celery:
    """A bare Celery app that only publishes; it knows the broker and no task."""
    app = Celery("duly-doorbell", broker=url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        task_ignore_result=True,
        broker_connection_retry_on_startup=False,
        broker_connection_timeout=1,
        # A front door waits for nobody: without a broker it answers all the same.
        broker_pool_acquire_timeout=1,
        broker_transport_options={
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
            "max_retries": 0,
            "visibility_timeout": 3600,
        },
    )
    return app


def _worth_it(name: str) -> bool:
    with _turn:
        present = time.monotonic()
        if present - _last.get(name, -_QUIET) < _QUIET:
            return False
        _last[name] = present
        return True
