"""Is the process alive, does the work go on, and what Prometheus asks."""

from __future__ import annotations

import threading
import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from scheduler import clock, metrics
from scheduler.api.gauges import gauges
from scheduler.api.stalls import stalls, told
from scheduler.errors import Unavailable
from scheduler.facts import ops
from scheduler.facts.health import beat_ages, silent_tasks
from scheduler.lineage.identity import held_words
from scheduler.store import database
from scheduler.store.revision import check_revision, needed
from scheduler.throttle_state import throttle_states

router = APIRouter(tags=["health"])
#: Apart: it may be served at a private address alone.
metrics_router = APIRouter(tags=["health"])

#: Real seconds for which a scrape stands: nobody makes the database work by asking often.
_STANDS = 2.0


class Scrape:
    """The last answer to ``/metrics``; one thread at a time makes a new one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._made_at = float("-inf")
        self._text = b""

    def read(self) -> bytes:
        """It, made anew where it is older than it may be."""
        with self._turn:
            if time.monotonic() - self._made_at >= _STANDS:
                self._text = metrics.render(gauges(clock.now()))
                self._made_at = time.monotonic()
            return self._text


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers. Asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
def ready() -> dict[str, str]:
    """The servers answer, the tables are this version's, beat ticks, and what is due is begun. 503 otherwise.

    What is due is begun on every page that may send: one whose turn the platform or an operator puts off is left out.
    A database that was restored is held, and not ready, until somebody releases it.
    For a load balancer take ``/readyz/webhooks``: whatever keeps messages from going out, opt-outs must come in.
    """
    now = clock.now()
    with database.session() as session:
        # Every time: the connection may be older than what was done to the database.
        check_revision(session.connection())
        oldest = ops.oldest_due(session)
        states = throttle_states({page for page, _ in oldest})
        if states is None:
            raise Unavailable("Redis does not answer: nothing is sent", way_out="check DULY_REDIS_URL")
        wrong = [
            *held_words(session),
            *silent_tasks(beat_ages(session, now), clock.rate()),
            *told(stalls(session, oldest, states, now)),
        ]
    if wrong:
        raise Unavailable("; ".join(wrong), way_out="`duly ops status` tells more")
    return {"status": "ready", "revision": needed()}


@router.get("/readyz/webhooks")
def ready_for_webhooks() -> dict[str, str]:
    """This process can take webhooks: the database answers, and its tables are this version's. 503 otherwise."""
    with database.session() as session:
        check_revision(session.connection())
    return {"status": "ready", "revision": needed()}


@metrics_router.get("/metrics", include_in_schema=True, response_class=Response)
def scrape(request: Request) -> Response:
    """Counters and gauges in Prometheus' text format. No label names a person."""
    last: Scrape = request.app.state.scrape
    return Response(last.read(), media_type=CONTENT_TYPE_LATEST)
