"""What an address takes: its methods and its query parameters, as its routes say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path

from scheduler.errors import Invalid


class _Address(NamedTuple):
    pattern: re.Pattern[str]
    methods: frozenset[str]
    #: The names of its query parameters.
    query: tuple[str, ...]


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that ``path`` takes, in alphabetical order; none where nothing is."""
    return sorted({method for address in _at(app, path) for method in address.methods})


def known_query(request: Request) -> None:
    """A route's dependency: raises Invalid for a query parameter that the address does not have.

    A filter that is misspelt must not answer with everything.
    """
    if not request.query_params:
        return
    known = _query_at(request.app, request.url.path, request.method)
    for name in request.query_params:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise Invalid(
                f"`{name[:64]}` is not a query parameter of this address",
                field=name[:64],
                way_out=f"did you mean {near[0]}?" if near else has,
            )


def _query_at(app: FastAPI, path: str, method: str) -> tuple[str, ...]:
    return next((address.query for address in _at(app, path) if method in address.methods), ())


def _at(app: FastAPI, path: str) -> Iterator[_Address]:
    # In the order of the routes, so that `/messages/summary` comes before `/messages/{id}`, as when they are served.
    return (address for address in addresses(app) if address.pattern.match(path))


@lru_cache(maxsize=2)
def addresses(app: FastAPI) -> tuple[_Address, ...]:
    """Every address that is described, one for each route. Read once an application."""
    return tuple(
        _Address(
            compile_path(str(route.path))[0],
            frozenset(route.methods or ()),
            tuple(each.alias for each in get_flat_params(route.dependant) if isinstance(each.field_info, Query)),
        )
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and route.include_in_schema
    )
