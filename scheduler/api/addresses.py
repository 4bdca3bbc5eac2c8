"""What an address takes: its methods and its query parameters, as OpenAPI describes them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Request
from starlette.routing import compile_path

from scheduler.errors import Invalid


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that ``path`` takes, in alphabetical order; none where nothing is."""
    return sorted({method.upper() for operations in _at(app, path) for method in operations})


def known_query(request: Request) -> None:
    """A route's dependency: raises Invalid for a query parameter that the address does not have.

    A filter that is misspelt must not answer with everything.
    """
    if not request.query_params:
        return
    known = _query_at(request.app, request.url.path, request.method.lower())
    for name in request.query_params:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise Invalid(
                f"`{name[:64]}` is not a query parameter of this address",
                field=name[:64],
                way_out=f"did you mean {near[0]}?" if near else has,
            )


def _query_at(app: FastAPI, path: str, method: str) -> list[str]:
    for operations in _at(app, path):
        if method in operations:
            return [each["name"] for each in operations[method].get("parameters", ()) if each["in"] == "query"]
    return []


def _at(app: FastAPI, path: str) -> Iterator[dict[str, Any]]:
    # In the order of the routes, so that `/messages/summary` comes before `/messages/{id}`, as when they are served.
    for template, operations in app.openapi()["paths"].items():
        if _pattern(template).match(path):
            yield operations


@lru_cache(maxsize=256)
def _pattern(template: str) -> Any:
    return compile_path(template)[0]
