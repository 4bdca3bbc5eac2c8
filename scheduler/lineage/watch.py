"""This process' part in it: it keeps marks of what it begins, and sends only where the database knows them.

One ``Watch`` a process. Workers ask it before they begin anything, again whenever a connection was made anew (a
database that was restored was away before), and every minute.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.lineage.behind import Mark, keep_in_redis, numbers_given
from scheduler.lineage.guard import FOLDER, Seen, look
from scheduler.lineage.identity import claim, identity
from scheduler.logs import complain, get_logger
from scheduler.settings import get_settings
from scheduler.store import database, journal, outside
from scheduler.store.journal import Head, Journal

_log = get_logger(__name__)

#: Real seconds between two whole looks, and between two marks in Redis.
_EVERY = 60.0
_REDIS_EVERY = 0.25
_UNKNOWN = text("""
    SELECT NOT EXISTS (SELECT 1 FROM attempt WHERE id = :attempt AND message_id = :message)
""")


class Watch:
    """What this process has begun lately, and whether its database knows it."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is where the marks are kept."""
        self._folder = folder
        self._journal = Journal(folder)
        self._head: Head | None = None
        self._last: tuple[int, int] | None = None
        self._looked = float("-inf")
        self._connections = -1
        self._in_redis = float("-inf")
        self._said_held = False
        #: (the hold, the bytes of marks) of the last time that they were handed in.
        self._handed: tuple[int, int] | None = None
        self._pruned = False

    def stale(self) -> bool:
        """Whether a connection was made since it was last looked."""
        return database.connections_made() != self._connections

    def may_send(self, session: Session, now: int) -> bool:
        """Whether the database may send; held here and now where it may not. The caller commits.

        False also where nobody can tell: the folder of marks cannot be written, or Redis does not answer.
        """
        connections = database.connections_made()
        known = identity(session)
        if known is not None and known.held_at is not None and self._handed == self._to_hand(known.held_at):
            # All that is here was handed in.
            return False
        whole = (
            known is None
            or known.held_at is not None
            or known.head != self._head
            or connections != self._connections
            or time.monotonic() - self._looked >= _EVERY
            or (self._last is not None and self._is_unknown(session, *self._last))
        )
        try:
            if whole:
                found = look(session, self._folder, _client(), socket.gethostname(), now)
                self._tell(found)
                known = found.known
            assert known is not None
            if known.held_at is not None:
                self._handed = self._to_hand(known.held_at)
                return False
            self._open(known.head)
        except OSError as error:
            complain(_log, "marks_cannot_be_kept", self._folder, error=type(error).__name__, folder=str(self._folder))
            return False
        except redis.RedisError as error:
            complain(_log, "marks_unknown", self._folder, error=type(error).__name__)
            return False
        if whole:
            self._looked, self._connections = time.monotonic(), connections
        return True

    def look(self, session: Session, now: int) -> None:
        """Hold the database if need be, and hand in what the marks here tell of, for whoever does not send."""
        with suppress(redis.RedisError, OSError):
            self._tell(look(session, self._folder, _client(), socket.gethostname(), now))

    def begun(self, rows: Sequence[Sequence[Any]], now: int) -> None:
        """Keep that these are about to be posted: (attempt, message, …) as ``journal`` has them. Raises OSError."""
        self._journal.begun(rows, now)
        self._last = (int(rows[-1][0]), int(rows[-1][1]))
        if time.monotonic() - self._in_redis >= _REDIS_EVERY:
            self.keep_in_redis(now)

    def keep_in_redis(self, now: int) -> None:
        """Keep the last mark in Redis as well; where that does not work, the file stands alone."""
        client = _client()
        if client is None or self._last is None or self._head is None:
            return
        try:
            keep_in_redis(client, self._journal.name, Mark(head=self._head, begun=dict([self._last]), at=now))
            self._in_redis = time.monotonic()
        except redis.RedisError as error:
            complain(_log, "no_mark_in_redis", self._folder, error=type(error).__name__)

    def ended(self, rows: Sequence[Sequence[Any]], now: int) -> None:
        """Keep how attempts ended: (attempt, message, result, the platform's id)."""
        self._add("ended", rows, now, safely=False)

    def note(self, head: Head, kind: str, rows: Sequence[Sequence[Any]], now: int) -> None:
        """Keep what a committed transaction did: see ``scheduler/store/outside.py``."""
        try:
            self._open(head)
        except OSError as error:
            complain(_log, "marks_cannot_be_kept", self._folder, error=type(error).__name__, folder=str(self._folder))
            return
        self._add(kind, rows, now, safely=kind == "least")

    def _add(self, kind: str, rows: Sequence[Sequence[Any]], now: int, *, safely: bool) -> None:
        try:
            self._journal.add(kind, rows, now, safely=safely)
        except OSError as error:
            # It is in the database: what is lost with the mark is lost only if that goes back in time.
            complain(_log, "marks_cannot_be_kept", self._folder, error=type(error).__name__, folder=str(self._folder))

    def _open(self, head: Head) -> None:
        if head != self._head:
            self._last = None
        self._journal.open(head, int(clock.machine() // 86_400))
        self._head = head
        if not self._pruned:
            self._pruned = True
            journal.prune(self._folder, clock.machine() - get_settings().marks_days * 86_400)

    def _to_hand(self, held_at: int) -> tuple[int, int]:
        return held_at, journal.size_of(self._folder)

    def _is_unknown(self, session: Session, attempt: int, message: int) -> bool:
        return bool(session.connection().execute(_UNKNOWN, {"attempt": attempt, "message": message}).scalar_one())

    def _tell(self, found: Seen) -> None:
        held = found.known.held_at is not None
        if held and not self._said_held:
            _log.error("database_held", why=found.known.held_why, handed_in=found.handed_in, way_out="duly restore")
        elif self._said_held and not held:
            _log.warning("database_released")
        self._said_held = held


_watches: dict[tuple[int, Path], Watch] = {}
_making = threading.Lock()


def watch() -> Watch:
    """The watch of this process over its data folder; a forked child has its own."""
    key = (os.getpid(), get_settings().data_dir / FOLDER)
    with _making:
        found = _watches.get(key)
        if found is None:
            found = _watches[key] = Watch(key[1])
    return found


def keep(session: Session) -> Callable[[], None]:
    """What writes, after the commit, what the session noted. Called just before it (``start.py``)."""
    now = clock.now()
    head = claim(session, now).head
    session.flush()
    made = [(kind, list(rows(session))) for kind, rows in outside.take(session)]
    made.append(("least", [[table, number] for table, number in numbers_given(session).items()]))
    return partial(_keep, head, made, now)


def _keep(head: Head, made: Sequence[tuple[str, Sequence[Sequence[Any]]]], now: int) -> None:
    # The last of them is on the disk when it returns, and with it all before it.
    for kind, rows in made:
        if rows:
            watch().note(head, kind, rows, now)


def _client() -> redis.Redis | None:
    url = get_settings().redis_url
    return _made(url.get_secret_value(), os.getpid()) if url is not None else None


@lru_cache(maxsize=4)
def _made(url: str, _pid: int) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3, health_check_interval=15)
