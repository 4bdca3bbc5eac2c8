"""A limit on the bodies of requests, and headers that every answer carries."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.auth import key_name
from scheduler.api.problems import problem

#: An audience of a million ids fits. The webhook has a limit of its own, far below.
MAX_BODY_BYTES = 32 * 1024 * 1024

#: What anybody may send to the REST API before the key is looked at: a body is read as JSON before a route asks for
#: the key, and reading megabytes keeps the webhook waiting.
STRANGER_BODY_BYTES = 256 * 1024
_API = "/api/"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Limits:
    """ASGI middleware: refuses a body over the limit with 413, whether or not its length was announced.

    A large body for the REST API is read only for somebody who has a key; anybody else gets 401.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        too_large = f"the body is over the limit of {self._most} bytes"
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._most:
            await problem(413, "too_large", too_large, way_out="send less at once")(scope, receive, send_with_headers)
            return
        taken = 0
        known = not str(scope["path"]).startswith(_API)

        async def counted() -> Message:
            nonlocal taken, known
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413, too_large)
            if taken > STRANGER_BODY_BYTES and not known:
                known = await run_in_threadpool(_has_key, headers.get("authorization", ""))
                if not known:
                    raise HTTPException(401, "a body this large needs an API key", {"WWW-Authenticate": "Bearer"})
            return message

        await self._app(scope, counted, send_with_headers)


def _has_key(authorization: str) -> bool:
    scheme, _, key = authorization.partition(" ")
    return scheme.lower() == "bearer" and key_name(key.strip()) is not None
