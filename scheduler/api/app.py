"""The web application. ``python -m scheduler.api`` serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from policies.lexicon import lexicon
from scheduler import clock, logs
from scheduler.api import (
    apps,
    body_sizes,
    campaigns,
    consent,
    consent_reviews,
    contact_actions,
    contacts,
    dead_letters,
    described_answers,
    events,
    failed_events,
    governance,
    health,
    idempotency,
    imports,
    memory,
    messages,
    ops,
    pages,
    people,
    policies,
    privacy,
    problems,
    templates,
    tokens,
    webhook,
)
from scheduler.api.addresses import addresses, known_query
from scheduler.api.auth import actor
from scheduler.api.correlation import Correlation
from scheduler.api.handshake import VerifyTokens
from scheduler.api.heartbeat import Heartbeat
from scheduler.api.heavy import Turns
from scheduler.api.json_bodies import StrictJson
from scheduler.api.key_first import KeyFirst, Keys
from scheduler.api.limits import MAX_BODY_BYTES, Limits
from scheduler.api.private import private_address
from scheduler.api.rates import Rates
from scheduler.api.security_events import close_security_events, open_security_events
from scheduler.api.webhook_bodies import Bodies
from scheduler.api.webhook_door import WebhookDoor
from scheduler.api.webhook_groups import Groups
from scheduler.api.webhook_signers import Signers
from scheduler.api.webhook_troubles import Troubles
from scheduler.errors import DulyError
from scheduler.lineage.start import keep_marks
from scheduler.lineage.watch import watch
from scheduler.settings import get_settings
from scheduler.store import database

_log = logs.get_logger(__name__)

#: What is under /api/v1, and needs a key.
_VERSIONED = (
    pages, apps, policies, contacts, contact_actions, people, privacy, imports, consent, consent_reviews, tokens,
    failed_events, templates, campaigns, events, messages, dead_letters, governance, ops,
)  # fmt: skip

_PREFIX = "/api/v1"
#: What every route under it asks first.
_OF_ALL = [Depends(actor), Depends(known_query), Depends(idempotency.heeded)]


def create_app() -> FastAPI:
    """Duly's web application. Reads the settings; connects to the database on the first request that needs it."""
    settings = get_settings()
    logs.configure(settings.log_level, settings.log_format)
    keep_marks()
    described: dict[str, Any] = {
        "title": "Duly",
        "version": version("duly"),
        "description": "Follow-up messages on Messenger, sent duly: permitted, in time, and on the record.",
        "lifespan": _lifespan,
        "generate_unique_id_function": _operation_id,
        "redoc_url": None,
        # A redirect would repeat the Host that the client named.
        "redirect_slashes": False,
    }
    # The description's page brings its scripts along: it works without the internet.
    app = FastAPIOffline(**described) if settings.open_description else FastAPI(**described, openapi_url=None)
    problems.install(app)
    idempotency.install(app, [door.router for door in _VERSIONED], _PREFIX)
    described_answers.describe(app, _PREFIX)
    body_sizes.describe(app, MAX_BODY_BYTES)
    app.add_middleware(StrictJson)
    app.add_middleware(KeyFirst)
    app.add_middleware(Limits)
    # The outermost: every line and every answer carries the id, refusals too.
    app.add_middleware(Correlation)
    app.add_middleware(WebhookDoor)
    app.include_router(health.router)
    if settings.open_description:
        described_answers.serve(app)
        app.include_router(health.metrics_router)
    app.include_router(webhook.router)
    for door in _VERSIONED:
        app.include_router(door.router, prefix=_PREFIX, dependencies=_OF_ALL)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.webhook_troubles, app.state.webhook_bodies = Troubles(), Bodies()
    app.state.webhook_signers, app.state.webhook_groups = Signers(), Groups(app.state.webhook_troubles)
    app.state.scrape, app.state.readiness, app.state.heavy = health.Scrape(), health.Readiness(), Turns()
    rates = Rates(get_settings().key_rate, get_settings().failure_rate)
    app.state.keys, app.state.verify_tokens = Keys(rates), VerifyTokens(rates)
    app.state.large_bodies = asyncio.Semaphore(1)
    # Reading the packs and the routes takes a second: not the first webhook's.
    lexicon()
    addresses(app)
    memory.settle()
    open_security_events()
    await run_in_threadpool(_look_at_the_database)
    alive = Heartbeat()
    with private_address(app):
        yield
    await run_in_threadpool(app.state.webhook_groups.close)
    await run_in_threadpool(app.state.webhook_troubles.close)
    await run_in_threadpool(close_security_events)
    await alive.end()
    database.dispose()


def _look_at_the_database() -> None:
    """Say at the start what every request will be answered with. A held database gets the marks that are kept here."""
    try:
        with database.session("health") as session:
            watch().look(session, clock.now())
    except DulyError as error:
        _log.error("database_not_usable", error=str(error))


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0] if route.tags else 'duly'}_{route.name}"
