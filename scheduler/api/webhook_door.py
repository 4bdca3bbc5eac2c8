"""The webhook's short way: past the routes and the layers of the REST API, of which it needs nothing.

They cost three times what checking a signature does, and the platform calls a thousand times for each call of a shop.
What is answered is the same as by the route, which is there for the OpenAPI document and for whoever takes this away.
"""

from __future__ import annotations

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.correlation import HEADER
from scheduler.api.problems import answer_to
from scheduler.api.safe_headers import safe_headers
from scheduler.api.webhook import SIGNATURE, router, take
from scheduler.logs import bind_request

_REQUEST_ID = HEADER.lower().encode()
_SIGNATURE = SIGNATURE.lower().encode()
_LENGTH = b"content-length"
_READ = frozenset({_REQUEST_ID, _SIGNATURE, _LENGTH})
#: By how the client came.
_HEADERS = {
    scheme: [
        (b"content-type", b"application/json"),
        *((name.lower().encode(), value.encode()) for name, value in safe_headers("", scheme).items()),
    ]
    for scheme in ("http", "https")
}


class WebhookDoor:
    """ASGI middleware: answers ``POST /webhooks/messenger`` itself, and leaves everything else to the others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != router.prefix or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        # Of all headers three are read: an object of them would cost as much as the signature.
        said: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name in _READ and name not in said:
                said[name] = value.decode("latin-1")
        structlog.contextvars.clear_contextvars()
        request_id = bind_request(said.get(_REQUEST_ID))
        try:
            body = await take(said.get(_SIGNATURE), said.get(_LENGTH), receive, scope["app"].state, request_id, scope)
        except ClientDisconnect:
            # Whoever hung up before the end has said nothing, and hears nothing.
            return
        except Exception as error:  # whatever it is: it is answered as everywhere
            answer = await answer_to(Request(scope, receive), error)
            answer.headers.update({**safe_headers("", scope["scheme"]), HEADER: request_id})
            await answer(scope, receive, send)
            return
        # By hand: to put each header in its place costs more than the signature.
        own = [(_LENGTH, b"%d" % len(body)), (_REQUEST_ID, request_id.encode("latin-1"))]
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS[scope["scheme"]], *own]})
        await send({"type": "http.response.body", "body": body})
