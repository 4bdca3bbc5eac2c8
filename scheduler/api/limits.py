"""Limits on requests, before any route sees them: their size, their number at a time; and headers of every answer."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.problems import problem
from scheduler.api.safe_headers import safe_headers

#: A file of contacts fits, and an audience of a million ids. The webhook has a limit of its own, far below.
MAX_BODY_BYTES = 32 * 1024 * 1024

#: Requests under way at a time, but for those that must always be answered.
MOST_AT_A_TIME = 200
_ALWAYS = ("/healthz", "/readyz", "/webhooks/")


class Limits:
    """ASGI middleware: refuses a body over the limit with 413, whether or not its length was announced.

    Answers 503 where too many requests are under way already.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._most = max_body_bytes
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        safe = safe_headers(path, str(scope["scheme"]))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in safe.items():
                    headers.setdefault(name, value)
            await send(message)

        too_large = f"the body is over the limit of {self._most} bytes"
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._most:
            await problem(413, "too_large", too_large, way_out="send less at once")(scope, receive, send_with_headers)
            return
        if self._under_way >= MOST_AT_A_TIME and not path.startswith(_ALWAYS):
            busy = problem(
                503, "unavailable", "too many requests are under way", way_out="try again", headers={"Retry-After": "1"}
            )
            await busy(scope, receive, send_with_headers)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413, too_large)
            return message

        self._under_way += 1
        try:
            await self._app(scope, counted, send_with_headers)
        finally:
            self._under_way -= 1
