"""``Idempotency-Key``: a request that is sent again is not carried out again, and gets its first answer.

The header is never ignored: an address that cannot honour it refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.access import answers
from scheduler.api import web_clock
from scheduler.api.auth import caller
from scheduler.api.heavy import is_heavy
from scheduler.errors import Invalid
from scheduler.logs import get_logger
from scheduler.store import database

_log = get_logger(__name__)

REPLAYED = "Idempotent-Replayed"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Ends of the addresses at which sending is stopped.
_STOPS = ("/kill-switch", "/pause")
#: Where a request leaves what it claimed, for the middleware that keeps the answer.
_STATE = "claimed"


class Replay(Exception):
    """The request was carried out before: answer what it was answered then."""

    def __init__(self, answer: answers.Answer) -> None:
        self.answer = answer
        super().__init__()


async def presented(request: Request) -> answers.Request | None:
    """The request's key, if it came with one; None for one that changes nothing. Raises Invalid."""
    given = request.headers.getlist(answers.HEADER)
    if not given or request.method in _SAFE:
        return None
    if len(given) > 1:
        raise Invalid("came twice", field=answers.HEADER, way_out="send one key")
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return answers.Request(
        actor=caller(request),
        key=answers.check_key(given[0]),
        fingerprint=answers.fingerprint(request.method, address, await request.body()),
    )


def transaction(request: Request, asked: Annotated[answers.Request | None, Depends(presented)]) -> Iterator[Session]:
    """One transaction a request: committed when the route returns, rolled back when it raises."""
    reads = request.method in _SAFE
    if not (reads or _always(request)):
        web_clock.heeded()
    with database.session("heavy" if is_heavy(request) else "read" if reads else "write") as session:
        if asked is not None:
            before = answers.claim(session, asked, web_clock.present())
            if before is not None:
                raise Replay(before)
            setattr(request.state, _STATE, asked)
        yield session


def _always(request: Request) -> bool:
    """Whether it is carried out whatever this process's clock shows: what stops sending must not wait for a clock."""
    return request.method == "POST" and request.url.path.endswith(_STOPS)


def heeded(request: Request) -> None:
    """A route's dependency: raises Invalid where the address cannot honour the header."""
    route = request.scope.get("route")
    if (
        answers.HEADER in request.headers
        and request.method not in _SAFE
        and isinstance(route, APIRoute)
        and not _takes_part(route.dependant)
    ):
        raise Invalid(
            "is not honoured at this address",
            field=answers.HEADER,
            way_out="leave it out; an upload changes nobody until it is applied, and applying takes the header",
        )


class KeepAnswers:
    """ASGI middleware: keeps the answer of a request that claimed a key, before it leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        status, parts = 0, list[bytes]()

        async def keeping(message: Message) -> None:
            nonlocal status
            asked = scope.get("state", {}).get(_STATE)
            if asked is not None and message["type"] == "http.response.start":
                status = message["status"]
            elif asked is not None and message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    await run_in_threadpool(_keep, asked, status, b"".join(parts))
            await send(message)

        await self._app(scope, receive, keeping)


def install(app: FastAPI, routers: Iterable[APIRouter], prefix: str) -> None:
    """Let ``app`` honour the header at the addresses of ``routers`` under ``prefix``, and its description say so."""
    app.add_middleware(KeepAnswers)
    app.add_exception_handler(Replay, _replay)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe(described(), routers, prefix)
        return described()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending the description


def _keep(asked: answers.Request, status: int, body: bytes) -> None:
    # What failed claimed nothing: a row that is there by now is of whoever sent the request again meanwhile.
    if status >= 400:
        return
    with suppress(SQLAlchemyError, UnicodeDecodeError), database.session("write") as session:
        answers.keep_answer(session, asked, answers.Answer(status=status, body=body.decode()))


async def _replay(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Replay)
    answer = Response(error.answer.body, error.answer.status, media_type="application/json")
    MutableHeaders(raw=answer.raw_headers)[REPLAYED] = "true"
    return answer


def _takes_part(dependant: Dependant) -> bool:
    return any(each.call is transaction or _takes_part(each) for each in dependant.dependencies)


def _describe(schema: dict[str, Any], routers: Iterable[APIRouter], prefix: str) -> None:
    parameter = {
        "name": answers.HEADER, "in": "header", "required": False,
        "schema": {"type": "string", "maxLength": answers.LONGEST_KEY},
        "description": "Sent again with the same key within a day, the request is answered as before and does nothing.",
    }  # fmt: skip
    for route in chain.from_iterable(router.routes for router in routers):
        if isinstance(route, APIRoute) and _takes_part(route.dependant):
            for method in (route.methods or set()) - _SAFE:
                operation = schema["paths"].get(prefix + route.path_format, {}).get(method.lower())
                if operation is not None:
                    operation.setdefault("parameters", []).append(parameter)
