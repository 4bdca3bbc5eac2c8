"""The transaction a request runs in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from sqlmodel import Session

from scheduler.api.idempotency import transaction

#: A parameter of a route. Scope ``function``: the commit happens *before* the answer leaves, so whoever gets a 2xx
#: can rely on it, and a failing commit is still an error to them.
Db = Annotated[Session, Depends(transaction, scope="function")]
