"""Group commit: webhooks that arrive together are received in one transaction and answered after its commit.

A transaction costs more than an event. While one group is with the database the next one gathers; where groups form, it
gathers a few milliseconds more, for those who were just answered come back all together. Who is alone waits for nobody.
A request that would take its group down is received alone: it fails or succeeds by itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from scheduler import clock, crash_points
from scheduler.doorbell import ring
from scheduler.errors import Unavailable
from scheduler.inbox.arrivals import arrivals, unreadable
from scheduler.inbox.event import Delivery, Received
from scheduler.inbox.intake import receive_all, split
from scheduler.inbox.lenient import Unreadable, read_json
from scheduler.store import database
from scheduler.store.direct import Ask

#: One group is with the database while another is read.
_COLLECTORS = 2
#: The most requests, and bytes of them, that share a transaction.
_MOST = 256
_MOST_BYTES = 512 * 1024
#: Real seconds that a group gathers when the one before was one, too.
_GATHERING = 0.003
#: A contact that somebody keeps locked must not keep a whole group waiting. Alone a request waits as long as any.
_PATIENCE = text("SET LOCAL lock_timeout = '1s'")
#: How often a request is received alone when the database made it the victim of a deadlock.
_TRIES = 3
_DEADLOCK = "40P01"


@dataclass(slots=True)
class _Waiting:
    """A verified request that waits to be received."""

    app_id: int
    raw: bytes
    request_id: str | None
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Received]


class Groups:
    """Receives verified webhooks in groups, in threads of its own."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._turn = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._alone: ThreadPoolExecutor | None = None
        self._closed = False
        #: How many were in the group before.
        self._company = 1

    async def take(self, app_id: int, raw: bytes, request_id: str | None) -> Received:
        """What became of a body that the app signed, once it is committed. Raises what kept it from being received."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(app_id, raw, request_id, loop, loop.create_future())
        with self._turn:
            if self._closed:
                raise Unavailable("the web process is ending", way_out="send it again")
            if not self._threads:
                self._start()
            self._waiting.append(waiting)
            self._turn.notify()
        return await waiting.answer

    def close(self) -> None:
        """Receive what waits, and nothing more."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join(timeout=30)
        if self._alone is not None:
            self._alone.shutdown()

    def _start(self) -> None:
        for number in range(_COLLECTORS):
            thread = threading.Thread(target=self._collect, name=f"webhooks-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _collect(self) -> None:
        while (group := self._next()) is not None:
            try:
                self._serve(group)
            except Exception as error:  # whatever it is: nobody is left without an answer
                _answer([(one, error) for one in group])

    def _next(self) -> list[_Waiting] | None:
        """The next group; it may be empty. None: there is none any more."""
        with self._turn:
            while not self._waiting:
                if self._closed:
                    return None
                self._turn.wait()
            gathering = self._company > 1 and len(self._waiting) < self._company and not self._closed
        if gathering:
            time.sleep(_GATHERING)
        with self._turn:
            if not self._waiting:
                # Another collector took them.
                return []
            group = [self._waiting.popleft()]
            size = len(group[0].raw)
            while self._waiting and len(group) < _MOST and size + len(self._waiting[0].raw) <= _MOST_BYTES:
                size += len(self._waiting[0].raw)
                group.append(self._waiting.popleft())
            if self._waiting:
                # There is work for another collector too.
                self._turn.notify()
            self._company = len(group)
            return group

    def _serve(self, group: list[_Waiting]) -> None:
        if not group:
            return
        deliveries = [_delivery(one) for one in group]
        try:
            received = _receive(deliveries, alone=False)
        except Unavailable:
            raise
        except Exception:  # whatever it is: whose fault it is shows when each is received by itself
            self._one_by_one(group, deliveries)
            return
        _answer(list(zip(group, received, strict=True)))
        if any(one.people for one in received):
            ring("deliver", "read_profiles")

    def _one_by_one(self, group: list[_Waiting], deliveries: list[Delivery]) -> None:
        with self._turn:
            if self._alone is None:
                self._alone = ThreadPoolExecutor(4, thread_name_prefix="webhook-alone")
        for one, delivery in zip(group, deliveries, strict=True):
            self._alone.submit(_serve_alone, one, delivery)


def _serve_alone(one: _Waiting, delivery: Delivery) -> None:
    for tries in range(1, _TRIES + 1):
        try:
            (received,) = _receive([delivery], alone=True)
        except Exception as error:
            if tries < _TRIES and _deadlocked(error):
                continue
            _answer([(one, error)])
            return
        _answer([(one, received)])
        if received.people:
            ring("deliver", "read_profiles")
        return


def _delivery(one: _Waiting) -> Delivery:
    try:
        found = arrivals(read_json(one.raw))
    except Unreadable:
        found = [unreadable(one.raw)]
    return Delivery(app_id=one.app_id, found=found, request_id=one.request_id)


def _receive(deliveries: Sequence[Delivery], *, alone: bool) -> list[Received]:
    """Receive these and commit, in one transaction, or two where something is said of a page.

    ``alone`` takes the time that it takes: it waits for locks, and has savepoints for events that cannot be applied.
    """
    now = clock.now()
    received = [Received() for _ in deliveries]
    for part in split(deliveries):
        with database.session() as session:
            patience: Ask | None = (_PATIENCE, {}) if len(deliveries) > 1 else None
            more = receive_all(session, part, now, careful=alone, patience=patience)
            for one, each in zip(received, more, strict=True):
                one.add(each)
            crash_points.reach("webhook.before_commit")
    crash_points.reach("webhook.after_commit")
    return received


def _answer(answers: Sequence[tuple[_Waiting, Received | Exception]]) -> None:
    """Let the requests go on, each in its own loop, with one call a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, Received | Exception]]] = defaultdict(list)
    for waiting, outcome in answers:
        by_loop[waiting.loop].append((waiting, outcome))
    for loop, mine in by_loop.items():
        # Whoever asked may be gone, and its loop with it.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, mine)


def _settle(answers: Sequence[tuple[_Waiting, Received | Exception]]) -> None:
    for waiting, outcome in answers:
        if waiting.answer.done():
            continue
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)


def _deadlocked(error: Exception) -> bool:
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) == _DEADLOCK
