"""Goes on with imports of contacts that were uploaded: checks rows, applies rows, forgets what nobody applied."""

from __future__ import annotations

import time
from collections.abc import Callable

from scheduler import clock
from scheduler.imports.ahead import Ahead
from scheduler.imports.applying import apply_next
from scheduler.imports.registry import discard_forgotten, open_imports, set_failed
from scheduler.imports.validating import validate_next
from scheduler.logs import get_logger
from scheduler.own_trouble import own_trouble
from scheduler.store import database

_log = get_logger(__name__)

#: Real seconds that one task works; what is left over is done by the next.
_SLICE = 1.0
#: Rows of one transaction of validation: no chunk takes longer than the slice.
_ROWS = 2_000


def import_a_while(stopping: Callable[[], bool]) -> tuple[int, bool]:
    """(transactions, whether there may be more to do)."""
    started, chunks = time.monotonic(), 0
    with Ahead() as ahead:
        while not stopping():
            if not _next(ahead):
                return chunks, False
            chunks += 1
            if time.monotonic() - started > _SLICE:
                return chunks, True
    return chunks, False


def _next(ahead: Ahead) -> bool:
    """One transaction of one import; False when nothing is left to do for this process."""
    with database.session() as session:
        waiting = open_imports(session)
    for import_id in waiting:
        try:
            if _go_on(import_id, ahead):
                return True
        except Exception as error:  # whatever it is: one file must not keep all others waiting for ever
            if own_trouble(error):
                # The database or a key is away, a disk is full: not the file's fault, and it goes on when that is over.
                raise
            _log.error("import_failed", import_id=import_id, error=type(error).__name__, exc_info=error)
            with database.session() as session:
                set_failed(session, import_id, now=clock.now())
    with database.session() as session:
        return discard_forgotten(session, clock.now()) is not None


def _go_on(import_id: int, ahead: Ahead) -> bool:
    """False when somebody else is at work on it."""
    with database.session() as session:
        if apply_next(session, clock.now(), import_id=import_id, ahead=ahead) is not None:
            return True
    with database.session() as session:
        return validate_next(session, clock.now(), import_id=import_id, limit=_ROWS) is not None
