"""The description names every answer that an address gives, errors too: each is a problem (RFC 9457)."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from scheduler.api.problems import MEDIA_TYPE
from scheduler.api.shared_look import SharedLook

_NAME = "Problem"
_REFERENCE = {"$ref": f"#/components/schemas/{_NAME}"}
_TEXT = {"type": "string"}

_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT, "way_out": {"type": ["string", "null"]}},
}
_PROBLEM = {
    "title": _NAME,
    "description": "What is wrong, where, and what to do about it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {**_TEXT, "description": "urn:duly:problem:<code>"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "For people; it may change."},
        "code": {**_TEXT, "description": "Of a kind of error; it never changes."},
        "way_out": {**_TEXT, "description": "The next step."},
        "errors": {"type": "array", "items": _ERROR, "description": "The places in what was sent."},
        "more_errors": {"type": "integer", "description": "How many are left out of `errors`."},
    },
}

_WORDS = {
    400: "It cannot be read: as HTTP, or its body as JSON.",
    401: "No known key came with it.",
    403: "A rule forbids it.",
    404: "Nothing has that name or id.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
    422: "A value cannot be used; `errors` names it.",
    429: "The key, or the address, asks more often than it may; `Retry-After` says when to come again.",
    500: "Something went wrong inside Duly.",
    503: "Duly is overloaded, or something that it depends on does not answer; try again.",
}
_SIGNED = {401: "The body is not signed with the secret of an app that is registered here."}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def serve(app: FastAPI) -> None:
    """Serve the description as it was written once: it has hundreds of kilobytes, and anybody may ask for it."""
    look = SharedLook(lambda: json.dumps(app.openapi()).encode())

    async def description(_request: Request) -> Response:
        return Response(await look.at_most(math.inf), media_type="application/json")

    address = app.openapi_url
    assert address is not None
    routes = app.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", None) != address]
    app.add_route(address, description, include_in_schema=False)


def describe(app: FastAPI, prefix: str) -> None:
    """Let the description of ``app`` name them. What is under ``prefix`` needs a key."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add(described(), prefix)
        return described()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending the description


def _add(schema: dict[str, Any], prefix: str) -> None:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas[_NAME] = _PROBLEM
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            keyed = path.startswith(prefix)
            words = _WORDS if keyed else _WORDS | _SIGNED
            for status in _statuses(path, method, keyed=keyed):
                answer: dict[str, Any] = {
                    "description": words[status],
                    "content": {MEDIA_TYPE: {"schema": _REFERENCE}},
                }
                if status in (429, 503):
                    answer["headers"] = _RETRY
                operation["responses"][str(status)] = answer
    # FastAPI's own words about 422: nothing answers so.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _statuses(path: str, method: str, *, keyed: bool) -> set[int]:
    if path in ("/healthz", "/metrics"):
        return {400, 500}
    if path.startswith("/readyz"):
        return {400, 500, 503}
    found = {400, 422, 500, 503}
    if keyed:
        # A page that nobody has registered may stand in the address, the query or the body.
        found |= {401, 404, 429}
    elif method == "get":
        found |= {403, 429}
    else:
        found.add(401)
    if method != "get":
        found.add(413)
        if keyed:
            found.add(409)
    return found
