"""Connections to PostgreSQL: a small pool for each kind of work, and the transaction that a front door owns."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

from scheduler.errors import Unavailable
from scheduler.settings import get_settings
from scheduler.store import commit_hook, outside
from scheduler.store.lists import write_lists_at_once
from scheduler.store.revision import check_revision
from scheduler.store.work import LIMITS, Work, connections

#: A pool belongs to the process that made it: (process id, address, work) → engine. A forked child makes its own.
_engines: dict[tuple[int, str, Work], Engine] = {}
#: What this process does where nothing else is said.
_usual: list[Work] = ["command"]
_making = threading.Lock()


def _unlocked() -> None:
    """A child that was forked while a thread made an engine has a lock of its own."""
    global _making
    _making = threading.Lock()


os.register_at_fork(after_in_child=_unlocked)

#: How many connections were made.
_connections = [0]

#: SQLSTATEs of tables, columns and functions that are not there.
_NOT_THERE = ("42P01", "42703", "42883")


def database_url() -> str:
    """The address of the database, for SQLAlchemy. Raises Unavailable, with the way out, where none is known."""
    url = get_settings().database_url
    if url is None:
        raise Unavailable(
            "no database is known here", way_out="start everything with `duly up`, or set DULY_DATABASE_URL"
        )
    return driver_url(url.get_secret_value())


def driver_url(url: str) -> str:
    """``url`` with psycopg 3 named as its driver."""
    return "postgresql+psycopg://" + url.partition("://")[2]


def usually(work: Work) -> None:
    """This process, and those that it forks, does such work where ``session`` and ``engine`` are told no other."""
    _usual[0] = work


def engine(work: Work | None = None) -> Engine:
    """The engine of this process for this kind of work, made on first use and anew after a fork."""
    settings = get_settings()
    work = work or _usual[0]
    key = (os.getpid(), database_url(), work)
    found = _engines.get(key)
    if found is None:
        # One thread at a time: of two engines one would be forgotten with its connections open.
        with _making:
            found = _engines.get(key)
            if found is None:
                _forget_parents()
                found = _engines[key] = make_engine(key[1], pool_size=connections(settings, work), work=work)
    return found


def make_engine(url: str, *, pool_size: int, work: Work = "command") -> Engine:
    """An engine of its own, READ COMMITTED, with ``pool_size`` connections at most and the limits of such work."""
    limits = LIMITS[work]
    made = create_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=limits.pool,
        # A restarted server leaves dead connections behind; one round trip finds out before a transaction does.
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        # Errors end up in logs; the values in them are what people said and who they are.
        hide_parameters=True,
        connect_args={
            "application_name": "duly",
            "connect_timeout": 10,
            # A server that is gone without a word (its machine, the network) must not keep whoever asks for hours:
            # real seconds after which what is not acknowledged, or a silence, counts as no answer.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "options": f"-c timezone=UTC {limits.options}",
        },
    )
    event.listen(made, "connect", _made)
    return made


@contextmanager
def session(work: Work | None = None) -> Iterator[Session]:
    """One transaction: committed when the block ends, rolled back when it raises. ``work`` says on whose connection.

    Objects stay readable after the commit. Raises Unavailable when the database cannot be reached, or is at a revision
    that this version does not work with.
    """
    with Session(engine(work), expire_on_commit=False) as opened:
        try:
            # When the first statement takes a connection, no sooner: a session that only waits holds none.
            event.listen(opened, "after_begin", _check_once)
            yield opened
            keep = _noted(opened)
            opened.commit()
            if keep is not None:
                keep()
        except OperationalError as error:
            opened.rollback()
            if error.connection_invalidated or opened.get_bind() is None or _is_unreachable(error):
                raise Unavailable(
                    "the database does not answer", way_out="try again; `duly db current` tells"
                ) from error
            raise
        except ProgrammingError as error:
            opened.rollback()
            if getattr(error.orig, "sqlstate", None) in _NOT_THERE:
                # Migrated, up or down, since this connection was made?
                check_revision(opened.connection())
            raise
        except BaseException:
            opened.rollback()
            raise


def _check_once(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Look at the database's revision, once a connection. The row of the pool remembers it."""
    if not connection.info.get("revision_checked"):
        check_revision(connection)
        connection.info["revision_checked"] = True


def connections_made() -> int:
    """How many connections this process has made: a database that was restored was away before."""
    return _connections[0]


def _made(connection: Any, _record: object) -> None:
    _connections[0] += 1
    write_lists_at_once(connection)


def _noted(opened: Session) -> Callable[[], None] | None:
    """What writes after the commit what was noted for outside (``outside.py``); None: nothing was, as mostly."""
    return commit_hook.registered()(opened) if outside.noted(opened) else None


def dispose() -> None:
    """Close this process's pools, e.g. before it forks or when a test's database goes away."""
    for key, made in list(_engines.items()):
        if key[0] == os.getpid():
            made.dispose()
        del _engines[key]


def _forget_parents() -> None:
    # The parent's connections are not ours to close: drop them without touching their sockets.
    for key, made in list(_engines.items()):
        if key[0] != os.getpid():
            made.dispose(close=False)
            del _engines[key]


def _is_unreachable(error: OperationalError) -> bool:
    # psycopg gives no SQLSTATE when there was no server to give one.
    return getattr(error.orig, "sqlstate", None) is None
