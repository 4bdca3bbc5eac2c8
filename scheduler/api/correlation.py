"""One id a request: taken from ``X-Request-ID`` or made here; in every log line, in the answer, with what it began.

``grep ID`` over the logs of all processes finds the call, what was planned for it, each decision, attempt and outcome.
"""

from __future__ import annotations

import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.logs import bind_request, get_logger

HEADER = "X-Request-ID"

_log = get_logger(__name__)


class Correlation:
    """ASGI middleware: binds the id, answers with it, and logs each call of the REST API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        request_id = bind_request(Headers(scope=scope).get(HEADER))
        status = 500
        started = time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            # The address as it is declared: what stands in it may be somebody's id.
            route = getattr(scope.get("route"), "path", None)
            if route is not None and str(scope["path"]).startswith("/api/"):
                took = round((time.monotonic() - started) * 1000, 1)
                _log.info("request", method=scope["method"], route=route, status=status, ms=took)
            structlog.contextvars.clear_contextvars()
