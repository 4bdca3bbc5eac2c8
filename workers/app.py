"""The Celery app. Redis is a doorbell: losing a task costs a second, running one twice finds nothing to do.

celery -A workers.app worker --without-gossip --without-mingle
celery -A workers.app beat --scheduler celery.beat:Scheduler
"""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

from celery import Celery, Task
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from scheduler import logs, metrics
from scheduler.errors import DulyError, Unavailable
from scheduler.lineage.start import keep_marks
from scheduler.settings import get_settings
from scheduler.store import database
from workers import channel, stale
from workers.turns import turns

_log = logs.get_logger(__name__)


class QuietTask(Task[Any, Any]):
    """A task that says once a minute, in one line, that the database is away: beat asks for several a second."""

    def __call__(self, *arguments: object, **named: object) -> object:
        """Run the task; None where the database could not be worked with."""
        try:
            return super().__call__(*arguments, **named)
        except Unavailable as error:
            logs.complain(_log, "database_unavailable", "database", task=self.name, error=str(error))
            return None


app = Celery("duly", include=["workers.tasks"], task_cls=QuietTask)

#: Real seconds between two runs of each periodic task.
PERIODS = {
    "tick": 1.0, "plan": 1.0, "wake": 1.0, "sweep": 5.0, "read_profiles": 1.0, "probe": 5.0, "import": 1.0,
    "retain": 5.0,
}  # fmt: skip
#: Real seconds after which what beat asked for is dropped. By the clocks of two machines, so far more than these may
#: differ by; what piles up until then costs nothing, for a worker runs a task once in its period (``tasks.periodic``).
_STALE = 60.0
#: Real seconds between two looks at a database that cannot be worked with yet.
_LOOK_AGAIN = 0.5


def configuration() -> dict[str, Any]:
    """Every setting with its reason; read when the app is first used."""
    settings = get_settings()
    if settings.redis_url is None:
        raise Unavailable("no Redis is known here", way_out="start everything with `duly up`, or set DULY_REDIS_URL")
    return {
        "broker_url": settings.redis_url.get_secret_value(),
        # JSON only: whoever can write to Redis must not be able to run code here.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        # Outcomes are rows. A result backend would keep a second, shorter-lived truth, and costs 16 %.
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        # Early ack: a killed child's task is not run again. What it left behind is in PostgreSQL: the sweep finds it.
        "task_acks_late": False,
        # One task at a time a child: what is fetched ahead would wait behind a delivery that runs for seconds.
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.worker_children,
        # Prefork: the threads pool of Celery has no time limits, and one process is one core of `requests` at most.
        "worker_pool": "prefork",
        # A delivery ends by itself within its slice, the answer's deadline and its settling. This is for what hangs.
        "task_soft_time_limit": 40,
        "task_time_limit": 60,
        # Longer than anything runs, although with early ack and without ETA nothing is ever restored. The same in all
        # three places: the shortest of all apps on a broker wins.
        "visibility_timeout": 3600,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
        # A broker that is away is waited for; a worker never gives up and exits.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A broker that answers with an error (out of memory, a replica) is waited for like one that is away.
        "broker_channel_error_retry": True,
        # A publisher waits this long and no longer. What it could not publish, beat rings for again.
        "broker_pool_acquire_timeout": 5,
        # On SIGTERM finish every post and settle it, then end: longer than a request's limit, shorter than a stop's.
        "worker_soft_shutdown_timeout": 20,
        "worker_enable_soft_shutdown_on_idle": True,
        # A child of a busy machine takes longer to start than the 4 s after which the pool would kill it and try anew.
        "worker_proc_alive_timeout": 60.0,
        # A bound to leaks of libraries.
        "worker_max_tasks_per_child": 5000,
        # Nobody listens to events; they are a command to Redis each.
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        "worker_enable_remote_control": True,
        # Logs are ours: structured and redacted.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # Beat: nothing to remember between runs, so no file. Local time is nobody's business here.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_max_loop_interval": 1,
        "enable_utc": True,
        "timezone": "UTC",
        "beat_schedule": {
            name: {"task": "periodic", "args": [name], "schedule": seconds, "options": {"expires": _STALE}}
            for name, seconds in PERIODS.items()
        },
    }


app.add_defaults(configuration)
_clock_watch = stale.ClockWatch()


@setup_logging.connect
def _log_our_way(**_: object) -> None:
    settings = get_settings()
    logs.configure(settings.log_level, settings.log_format)
    # Several tasks a second come and go: that they did is no news, and the beat table tells when they last did.
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level.upper())))


@worker_init.connect
def _keep_marks(**_: object) -> None:
    database.usually("worker")
    # Children that are forked later inherit it.
    keep_marks()


@worker_init.connect
def _wait_for_the_database(**_: object) -> None:
    """Say once what keeps this version from working with the database, and wait until it can."""
    said = None
    try:
        database.database_url()
    except DulyError as error:
        # Celery logs what a receiver raises and goes on: every task would fail.
        _log.error("cannot_start", error=str(error))
        raise SystemExit(error.exit_code) from None
    while True:
        try:
            with database.session() as session:
                session.connection()
                break
        except Unavailable as error:
            if str(error) != said:
                said = str(error)
                _log.error("waiting_for_the_database", error=said)
            time.sleep(_LOOK_AGAIN)
    if said is not None:
        _log.warning("the_database_is_ready")
    # Connections do not survive the forks to come.
    database.dispose()


@worker_ready.connect
def _watch_the_clock(**_: object) -> None:
    _clock_watch.start()


@worker_ready.connect
def _answer_prometheus(**_: object) -> None:
    port = get_settings().metrics_port
    if not port:
        return
    try:
        metrics.serve(port)
    except OSError as error:
        # Sending matters more than counting.
        _log.error("metrics_port_taken", port=port, error=type(error).__name__)


@worker_process_init.connect
def _open_channel(**_: object) -> None:
    # Connections do not survive a fork: this child makes its own pools.
    database.engine()
    channel.open_channel()
    # What is loaded stays. Looked through at every full collection of garbage, it stops a batch for 70 ms.
    gc.collect()
    gc.freeze()


@worker_process_shutdown.connect
def _close_channel(**_: object) -> None:
    channel.close_channel()
    database.dispose()


@worker_shutting_down.connect
def _drain(**_: object) -> None:
    _clock_watch.stop()
    # In the main process. Deliveries in the children finish what is on the wire and begin nothing new.
    turns.drain()
