"""The transaction a request runs in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlmodel import Session

from scheduler.store import database


def db() -> Iterator[Session]:
    """One transaction a request: committed when the route returns, rolled back when it raises."""
    with database.session() as session:
        yield session


#: A parameter of a route. Scope ``function``: the commit happens *before* the answer leaves, so whoever gets a 2xx
#: can rely on it, and a failing commit is still an error to them.
Db = Annotated[Session, Depends(db, scope="function")]
