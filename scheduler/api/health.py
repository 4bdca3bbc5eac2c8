"""Is the process alive, does the work go on, and what Prometheus asks."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from scheduler import clock, metrics
from scheduler.api import web_clock
from scheduler.api.gauges import gauges
from scheduler.api.shared_look import SharedLook
from scheduler.api.stalls import stalls, told
from scheduler.api.writing import Writing
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
#: The same of readiness.
_READY_STANDS = 1.0


class Scrape:
    """The last answer to ``/metrics``, for whoever asks soon after."""

    def __init__(self) -> None:
        self._look = SharedLook(_scrape)

    async def read(self) -> bytes:
        """It, made anew where it is older than it may be."""
        return await self._look.at_most(_STANDS)


class Readiness:
    """The two looks at readiness. Whoever asks gets one that is at most a second old: asking often costs nothing."""

    def __init__(self) -> None:
        writing = Writing()
        self._whole = SharedLook(partial(_look, writing))
        self._webhooks = SharedLook(partial(_look_for_webhooks, writing))

    async def whole(self) -> dict[str, str]:
        """For ``/readyz``."""
        return await self._whole.at_most(_READY_STANDS)

    async def for_webhooks(self) -> dict[str, str]:
        """For ``/readyz/webhooks``."""
        return await self._webhooks.at_most(_READY_STANDS)


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers. Asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(request: Request) -> dict[str, str]:
    """The servers answer and can write, the tables are this version's, beat ticks, what is due is begun. 503 otherwise.

    What is due is begun on every page that may send: one whose turn the platform or an operator puts off is left out.
    A database that was restored is held, and not ready, until somebody releases it.
    For a load balancer take ``/readyz/webhooks``: whatever keeps messages from going out, opt-outs must come in.
    """
    readiness: Readiness = request.app.state.readiness
    return await readiness.whole()


@router.get("/readyz/webhooks")
async def ready_for_webhooks(request: Request) -> dict[str, str]:
    """This process can take webhooks: the database answers and can write, tables and clock are right.

    503 otherwise.
    """
    readiness: Readiness = request.app.state.readiness
    return await readiness.for_webhooks()


def _scrape() -> bytes:
    return metrics.render(gauges(web_clock.at_best()))


def _look(writing: Writing) -> dict[str, str]:
    now = web_clock.present()
    with database.session("health") as session:
        # Every time: the connection may be older than what was done to the database.
        check_revision(session.connection())
        oldest = ops.oldest_due(session)
        states = throttle_states({page for page, _ in oldest})
        if states is None:
            raise Unavailable("Redis does not answer: nothing is sent", way_out="check DULY_REDIS_URL")
        wrong = [
            *_clock(),
            *writing.wrong(session),
            *held_words(session),
            *silent_tasks(beat_ages(session, now), clock.rate()),
            *told(stalls(session, oldest, states, now)),
        ]
    if wrong:
        raise Unavailable("; ".join(wrong), way_out="`duly ops status` tells more")
    return {"status": "ready", "revision": needed()}


def _look_for_webhooks(writing: Writing) -> dict[str, str]:
    web_clock.present()
    with database.session("health") as session:
        check_revision(session.connection())
        wrong = [*_clock(), *writing.wrong(session)]
    if wrong:
        raise Unavailable("; ".join(wrong), way_out="`duly ops status` tells more")
    return {"status": "ready", "revision": needed()}


def _clock() -> list[str]:
    words = web_clock.wrong()
    return [] if words is None else [f"{words}: no webhook is taken"]


@metrics_router.get("/metrics", include_in_schema=True, response_class=Response)
async def scrape(request: Request) -> Response:
    """Counters and gauges in Prometheus' text format. No label names a person."""
    last: Scrape = request.app.state.scrape
    return Response(await last.read(), media_type=CONTENT_TYPE_LATEST)
