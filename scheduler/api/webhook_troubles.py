"""Counts what is wrong with webhooks in this process, and writes it down twice a second at most.

Anybody may send what nobody signed. So a refusal costs a few microseconds here, however many there are: whose page it
was is looked for later, in a sample of the bodies, and a flood is written down as a handful of rows.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable

from sqlalchemy.exc import SQLAlchemyError

from scheduler import clock
from scheduler.errors import DulyError
from scheduler.inbox.troubles import NO_PAGE, note_troubles
from scheduler.logs import complain, get_logger
from scheduler.pages.registry import page_ids
from scheduler.store import database

_log = get_logger(__name__)

#: Real seconds between two writes.
_PAUSE = 0.5
#: Bodies of a reason that are looked through for a page at each write, and how far into each.
_SAMPLE = 20
_LOOKED_AT = 256 * 1024
#: Pages that one body counts for: an entry, its recipients.
_PAGES_OF_A_BODY = 20
_ID = re.compile(rb'"id"\s*:\s*"?([0-9A-Za-z_.-]{1,128})')


class Troubles:
    """What is wrong with webhooks, until it is written down."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._counted: Counter[tuple[int, str]] = Counter()
        #: Reason → how many were refused, and some of their bodies.
        self._refused: Counter[str] = Counter()
        self._bodies: dict[str, list[bytes]] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def refused(self, reason: str, body: bytes = b"") -> None:
        """A webhook was refused; ``body`` is what was read of it. Waits for nothing."""
        with self._turn:
            self._refused[reason] += 1
            bodies = self._bodies.setdefault(reason, [])
            if len(bodies) < _SAMPLE:
                bodies.append(body[:_LOOKED_AT])
            elif (place := random.randrange(self._refused[reason])) < _SAMPLE:
                # Each has the same chance to be among those: nobody can crowd the others out.
                bodies[place] = body[:_LOOKED_AT]
            self._wake()

    def count(self, found: Iterable[tuple[int, str]]) -> None:
        """(page id, reason) of events from which nothing followed. Waits for nothing."""
        with self._turn:
            self._counted.update(found)
            self._wake()

    def close(self) -> None:
        """Write down what was counted, and no more."""
        with self._turn:
            self._closed.set()
            self._turn.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _wake(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._work, name="webhook-troubles", daemon=True)
            self._thread.start()
        self._turn.notify()

    def _work(self) -> None:
        while True:
            with self._turn:
                while not (self._counted or self._refused):
                    if self._closed.is_set():
                        return
                    self._turn.wait()
                counted, refused, bodies = self._counted, self._refused, self._bodies
                self._counted, self._refused, self._bodies = Counter(), Counter(), {}
            try:
                _write(counted, refused, bodies)
            except (DulyError, SQLAlchemyError) as error:
                complain(_log, "webhook_troubles_not_counted", "", error=type(error).__name__)
                with self._turn:
                    # For later. What was refused has lost its bodies; that it was, counts all the same.
                    self._counted.update(counted)
                    self._counted.update({(NO_PAGE, reason): many for reason, many in refused.items()})
                if self._closed.is_set():
                    return
            self._closed.wait(_PAUSE)


def _write(counted: Counter[tuple[int, str]], refused: Counter[str], bodies: dict[str, list[bytes]]) -> None:
    named = {reason: [_ids(body) for body in some] for reason, some in bodies.items()}
    with database.session() as session:
        known = page_ids(session, set().union(*(ids for some in named.values() for ids in some)))
        for reason, many in refused.items():
            found = [{known[name] for name in ids if name in known} for ids in named.get(reason, ())]
            counted.update((page, reason) for pages in found for page in pages)
            counted[NO_PAGE, reason] += many - sum(bool(pages) for pages in found)
        note_troubles(session, +counted, clock.now())


def _ids(body: bytes) -> set[str]:
    """What may be a page's id in a body that nobody vouches for: it is read for nothing else."""
    found: set[str] = set()
    for match in _ID.finditer(body):
        found.add(match.group(1).decode())
        if len(found) >= _PAGES_OF_A_BODY:
            break
    return found
