"""What every process that changes the database calls when it starts, so that marks of its commits are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from scheduler.store import commit_hook

if TYPE_CHECKING:
    from sqlmodel import Session


def keep_marks() -> None:
    """Have what this process' transactions note written outside the database after their commits.

    Called by the command line, the web application and the worker; children that are forked later inherit it.
    """
    commit_hook.register(_keep)


def _keep(session: Session) -> Callable[[], None]:
    # Loaded with the first mark: most commands leave none, and `duly --help` must not load a database client.
    from scheduler.lineage.watch import keep

    return keep(session)
