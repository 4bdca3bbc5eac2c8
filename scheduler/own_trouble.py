"""Is it the process that is in trouble, or what it was given?

A process without memory, descriptors, threads, disk or a database fails at whatever it is doing just then. That says
nothing about the event, the message or the file in its hands: none of them may be booked as failed for it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import psycopg
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.errors import DulyError

#: What a process runs out of.
_SHORT_OF = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN}
)
#: A database that is away, too slow, full or broken. What it refuses for its values or its words is another thing.
_OF_THE_DATABASE = (
    OperationalError, InterfaceError, InternalError, PoolTimeout,
    psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError,
)  # fmt: skip
#: ``threading`` raises a bare RuntimeError.
_NO_THREAD = "can't start new thread"
#: Errors are wrapped a few times, and may name each other in a circle.
_DEEPEST = 8


def own_trouble(error: BaseException) -> bool:
    """Whether ``error`` is the process's own, or one that it was raised from."""
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if found is None:
            break
        if _is_own(found):
            return True
        found = found.__cause__
    return False


def short_of_something(error: BaseException) -> bool:
    """Whether a request failed because this process has no memory, descriptor or buffer left; not the other side."""
    return any(
        isinstance(each, MemoryError) or (isinstance(each, OSError) and each.errno in _SHORT_OF)
        for each in _behind(error, _DEEPEST)
    )


def _is_own(error: BaseException) -> bool:
    if isinstance(error, (OSError, MemoryError, *_OF_THE_DATABASE)):
        return True
    if isinstance(error, RuntimeError):
        return _NO_THREAD in str(error)
    return isinstance(error, DulyError) and error.status >= 500


def _behind(error: BaseException, deepest: int) -> Iterator[BaseException]:
    """An error and those that it was made of: HTTP libraries keep them as causes, contexts, arguments and reasons."""
    yield error
    if deepest:
        inner = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
        for each in inner:
            if isinstance(each, BaseException) and each is not error:
                yield from _behind(each, deepest - 1)
