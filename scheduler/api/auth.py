"""Who is asking: an API key in the Authorization header."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scheduler.api.caller import STATE
from scheduler.errors import NotAuthenticated

bearer = HTTPBearer(auto_error=False, description="An API key: `duly key create NAME`.")


def caller(request: Request) -> str:
    """The name of the key that came with the request, which was checked before its body was read.

    Raises NotAuthenticated where nobody checked one.
    """
    name: str | None = getattr(request.state, STATE, None)
    if name is None:
        raise NotAuthenticated(way_out="send `Authorization: Bearer duly_…`; `duly key create NAME` makes a key")
    return name


async def actor(request: Request, _presented: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
    """A dependency of every route that needs a key; see ``caller``."""
    return caller(request)


#: A parameter of a route: the name of the key, for the audit.
Actor = Annotated[str, Depends(actor)]
