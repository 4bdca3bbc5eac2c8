"""The web process under test, and beside it two floors: what any receiver of signed webhooks must do, and no more."""

from __future__ import annotations

import hashlib
import hmac
import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from scheduler.api.app import create_app

#: Of the app that the stage registers.
SECRET = b"a-secret-of-the-stage"
HEADER = "X-Hub-Signature-256"


async def _signed_and_parsed(request: Request) -> Response:
    """Checks the signature over the raw bytes, reads the JSON, answers."""
    body = await request.body()
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get(HEADER, "")):
        return Response("{}", 401, media_type="application/json")
    entries = json.loads(body)["entry"]
    return Response(f'{{"received":{len(entries)}}}', media_type="application/json")


class Web:
    """``/floor`` is bare Starlette; ``/inside`` the same route inside of the product, behind its middlewares."""

    def __init__(self) -> None:
        self._floor = Starlette(routes=[Route("/floor", _signed_and_parsed, methods=["POST"])])
        self._product = create_app()
        self._product.add_route("/inside", _signed_and_parsed, methods=["POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        bare = scope["type"] == "http" and scope["path"] == "/floor"
        await (self._floor if bare else self._product)(scope, receive, send)


def create() -> Web:
    """For ``uvicorn --factory``."""
    return Web()


assert os.environ.get("DULY_DATABASE_URL"), "started by benchmarks.inbox"
