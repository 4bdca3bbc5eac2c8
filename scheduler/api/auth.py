"""Who is asking: an API key in the Authorization header."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scheduler.access.keys import verify_key
from scheduler.errors import NotAuthenticated
from scheduler.store import database

bearer = HTTPBearer(auto_error=False, description="An API key: `duly key create NAME`.")


def actor(presented: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
    """The name of the key that came with the request. Raises NotAuthenticated.

    In a transaction of its own: a connection held while the route waits for a thread could starve those who have one.
    """
    if presented is None:
        raise NotAuthenticated(way_out="send `Authorization: Bearer duly_…`; `duly key create NAME` makes a key")
    name = key_name(presented.credentials)
    if name is None:
        raise NotAuthenticated(
            "the key is unknown or revoked", way_out="`duly key list` shows the keys, `duly key create NAME` makes one"
        )
    return name


def key_name(presented: str) -> str | None:
    """The name of the key, looked up in a transaction of its own; None when it is unknown or revoked."""
    with database.session() as session:
        return verify_key(session, presented)


#: A parameter of a route: the name of the key, for the audit.
Actor = Annotated[str, Depends(actor)]
