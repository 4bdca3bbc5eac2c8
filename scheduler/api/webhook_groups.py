"""Group commit: webhooks that arrive together are received in one transaction and answered after its commit.

A transaction costs more than an event, so what waits is received together; where groups form, one gathers a few
milliseconds more, for those who were just answered come back all together. A group that is large enough by itself is
worth a second one beside it: Python reads the one while the database writes the other. Who is alone waits for nobody.
A request that would take its group down is received alone: it fails or succeeds by itself (``webhook_alone``).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import text

from scheduler import crash_points
from scheduler.api import web_clock
from scheduler.api.webhook_alone import Alone
from scheduler.api.webhook_bell import Bell
from scheduler.api.webhook_troubles import Troubles
from scheduler.errors import Unavailable
from scheduler.inbox.arrivals import arrivals, unreadable
from scheduler.inbox.event import Delivery, Received
from scheduler.inbox.intake import receive_all, split
from scheduler.inbox.known_pages import KnownPages
from scheduler.inbox.lenient import Unreadable, read_json
from scheduler.store import database

#: One group is with the database while another is read.
_COLLECTORS = 2
#: The most requests, and bytes of them, that share a transaction: a hundred events or two. In larger ones Python waits
#: for the database, and the database for Python.
_MOST = 256
_MOST_BYTES = 48 * 1024
#: Requests, or bytes of them, that are worth a group while another is on its way, and the real seconds for which less
#: than that waits for it. Each group takes its share of both whatever its size: a small one is better off in the next.
_WORTH = 24
_WORTH_BYTES = _MOST_BYTES // 2
_HURRY = 0.02
#: Real seconds that a group gathers, at most, when the one before was one, too.
_GATHERING = 0.005
#: A contact that somebody keeps locked must not keep a whole group waiting, nor those who are behind it. Statements are
#: planned once: to plan one for the single person of a group who said STOP takes longer than to do it.
_GROUP_PATIENCE = text(
    "SELECT set_config('lock_timeout', '1s', true) AS patience, "
    "set_config('plan_cache_mode', 'force_generic_plan', true) AS plans"
)
_LONE_PATIENCE = text("SET LOCAL lock_timeout = '250ms'")


@dataclass(slots=True)
class _Waiting:
    """A verified request that waits to be received."""

    app_id: int
    raw: bytes
    request_id: str | None
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Received]
    #: ``time.monotonic()``.
    since: float = field(default_factory=time.monotonic)


class Groups:
    """Receives verified webhooks in groups, in threads of its own."""

    def __init__(self, troubles: Troubles) -> None:
        """``troubles`` are told what nothing followed from."""
        self._troubles = troubles
        self._waiting: deque[_Waiting] = deque()
        #: How many bytes wait, how many collectors have a group, and whether one of those still gathers it.
        self._bytes = 0
        self._busy = 0
        self._gathering = False
        #: Whether somebody was called who has not come yet.
        self._called = False
        #: How many may be expected to wait soon.
        self._company = 1
        lock = threading.Lock()
        #: What a collector waits for who has no group, and one who gathers.
        self._turn, self._complete = threading.Condition(lock), threading.Condition(lock)
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._alone = Alone()
        self._pages = KnownPages()
        self._bell = Bell("deliver", "read_profiles")

    async def take(self, app_id: int, raw: bytes, request_id: str | None) -> Received:
        """What became of a body that the app signed, once it is committed. Raises what kept it from being received."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(app_id, raw, request_id, loop, loop.create_future())
        with self._turn:
            if self._closed:
                raise Unavailable("the web process is ending", way_out="send it again")
            if not self._threads:
                self._start()
            worth = self._worth()
            self._waiting.append(waiting)
            self._bytes += len(raw)
            # To wake a thread costs more than to read a webhook: it is woken where it has something to do.
            if not self._busy:
                if not self._called:
                    self._called = True
                    self._turn.notify()
            elif self._gathering:
                if self._whole():
                    self._complete.notify()
            elif len(self._waiting) == 1 or (not worth and self._worth()):
                self._turn.notify()
        return await waiting.answer

    def close(self) -> None:
        """Receive what waits, and nothing more."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
            self._complete.notify_all()
        for thread in self._threads:
            thread.join(timeout=30)
        self._alone.close()
        self._bell.close()

    def _start(self) -> None:
        for number in range(_COLLECTORS):
            thread = threading.Thread(target=self._collect, name=f"webhooks-{number}", daemon=True)
            # Where no thread can be started, nobody is left waiting for one: the next request tries again.
            thread.start()
            self._threads.append(thread)

    def _collect(self) -> None:
        while (group := self._next()) is not None:
            try:
                self._serve(group)
            except Exception as error:  # whatever it is: nobody is left without an answer
                _answer([(one, error) for one in group])
            finally:
                with self._turn:
                    self._busy -= 1
                    # Those who came meanwhile, and those who are just answered: they come back all together.
                    self._company = len(self._waiting) + len(group)
                    if self._waiting:
                        # Whoever waits for company waits for it no longer.
                        self._turn.notify()

    def _next(self) -> list[_Waiting] | None:
        """The next group; it may be empty. None: there is none any more."""
        with self._turn:
            while (pause := self._pause()) != 0.0:
                if pause is None and self._closed:
                    return None
                self._turn.wait(pause)
            self._called = False
            self._busy += 1
            if self._busy == 1 and not self._whole():
                self._gathering = True
                self._complete.wait_for(self._whole, _GATHERING)
                self._gathering = False
            group: list[_Waiting] = []
            size = 0
            while self._waiting and len(group) < _MOST:
                size += len(self._waiting[0].raw)
                if group and size > _MOST_BYTES:
                    break
                group.append(self._waiting.popleft())
            self._bytes = sum(len(one.raw) for one in self._waiting) if self._waiting else 0
            if self._waiting:
                # There may be work for another collector, too.
                self._turn.notify()
            return group

    def _whole(self) -> bool:
        """Whether nobody is missing from what waits, or it is enough without them."""
        return len(self._waiting) >= self._company or self._bytes >= _MOST_BYTES or self._closed

    def _worth(self) -> bool:
        """Whether what waits is worth a group of its own."""
        return len(self._waiting) >= _WORTH or self._bytes >= _WORTH_BYTES

    def _pause(self) -> float | None:
        """Real seconds until what waits should be begun, 0 at once; None: nothing waits."""
        if not self._waiting:
            return None
        if not self._busy or (not self._gathering and self._worth()) or self._closed:
            return 0.0
        # There is somebody who gathers them, or who takes them along when done; unless that is kept from it.
        return max(0.0, self._waiting[0].since + _HURRY - time.monotonic())

    def _serve(self, group: list[_Waiting]) -> None:
        if not group:
            return
        group, deliveries = _read(group)
        if not group:
            return
        try:
            received = _receive(deliveries, self._pages)
        except Unavailable:
            raise
        except Exception:  # whatever it is: whose fault it is shows when each is received by itself
            for one, delivery in zip(group, deliveries, strict=True):
                self._alone.put(_Lone(self._bell, self._troubles, one, delivery))
            return
        _answer(list(zip(group, received, strict=True)))
        _count(self._troubles, received)
        if any(one.people for one in received):
            self._bell.ring()


@dataclass(slots=True)
class _Lone:
    """A request whose group failed, to be received by itself."""

    bell: Bell
    troubles: Troubles
    one: _Waiting
    delivery: Delivery

    def __call__(self) -> None:
        (received,) = _receive([self.delivery], None)
        _answer([(self.one, received)])
        _count(self.troubles, [received])
        if received.people:
            self.bell.ring()

    def failed(self, error: Exception) -> None:
        _answer([(self.one, error)])


def _count(troubles: Troubles, received: Sequence[Received]) -> None:
    if found := [each for one in received for each in one.troubles]:
        troubles.count(found)


def _read(group: Sequence[_Waiting]) -> tuple[list[_Waiting], list[Delivery]]:
    """Those of a group that could be read. One for which there is no memory is answered alone, and comes again."""
    read, deliveries = [], []
    for one in group:
        try:
            delivery = _delivery(one)
        except Exception as error:  # whatever it is: the others are not lost with it
            _answer([(one, error)])
            continue
        read.append(one)
        deliveries.append(delivery)
    return read, deliveries


def _delivery(one: _Waiting) -> Delivery:
    try:
        found = arrivals(read_json(one.raw))
    except Unreadable:
        found = [unreadable(one.raw)]
    return Delivery(app_id=one.app_id, found=found, request_id=one.request_id)


def _receive(deliveries: Sequence[Delivery], known: KnownPages | None) -> list[Received]:
    """Receive these and commit, in one transaction, or two where something is said of a page.

    A group goes by the pages that are ``known``. Without, it is careful: it has savepoints for events that cannot be
    applied, and little patience with locks, for it comes again. Raises ClockWrong where this process's clock is.
    """
    now = web_clock.heeded()
    received = [Received() for _ in deliveries]
    careful = known is None
    patience = _LONE_PATIENCE if careful else _GROUP_PATIENCE
    for part in split(deliveries):
        with database.session("webhook") as session:
            more = receive_all(session, part, now, careful=careful, patience=(patience, {}), pages=known)
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
