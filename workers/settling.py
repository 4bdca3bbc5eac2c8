"""Settles what the sender threads finished, in bulk, in a thread beside the one that begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler import clock, crash_points
from scheduler.errors import Unavailable
from scheduler.lineage.watch import watch
from scheduler.logs import get_logger
from scheduler.metrics import attempt_ended
from scheduler.outbox.pauses import pause_seconds
from scheduler.outbox.settle import Outcome, settle
from scheduler.own_trouble import own_trouble
from scheduler.store import database
from workers.follow_up import NOBODYS_FAULT, Pages
from workers.posting import TOO_OLD, Finished

_log = get_logger(__name__)

#: Real seconds that a finished attempt waits for others to be settled with, and how many are enough.
_LINGER = 0.05
_SETTLE_AT = 64
#: Real seconds between two looks at what has finished. (To be woken by each would cost more than to settle it.)
_LOOK = 0.01
#: Real seconds between two tries while the database is away, and for which it is tried. The sweep takes what is left.
_AGAIN = 0.02
_PATIENCE = 15.0

#: What passes by itself: a database that is restarting, a deadlock's victim, a lock that took too long.
PASSING = (Unavailable, OperationalError, PoolTimeout)


class Settler:
    """Takes over what was begun and settles it once it is finished, until told that nothing more comes."""

    def __init__(self, pages: Pages) -> None:
        """``pages`` are told how attempts ended."""
        self._pages = pages
        #: Where sender threads put what they have finished.
        self.done: SimpleQueue[Finished] = SimpleQueue()
        #: How many were accepted, and how long a post takes (real seconds, lately; 0: nobody knows).
        self.sent = 0
        self.latency = 0.0
        #: How much of the line may be used, up to 1: less where messages grew too old in it, as on a busy machine.
        self.nerve = 1.0
        #: Why it gave up.
        self.failure: BaseException | None = None
        self._begun = 0
        self._collected = 0
        self._unsettled: list[Finished] = []
        self._unsettled_since = 0.0
        self._ending = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """How many of those begun no sender thread has finished."""
        return self._begun - self._collected - self.done.qsize()

    @property
    def settling(self) -> bool:
        """Whether something begun is not settled."""
        return self._begun > self._collected or bool(self._unsettled)

    def expect(self, count: int) -> None:
        """So many more were begun: their ends will be put into ``done``."""
        self._begun += count
        self._news.set()

    def finish(self) -> None:
        """Return when all that was begun is settled. Raises what settling failed with."""
        self._ending = True
        self._news.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while True:
                # Read before what is left is counted: nothing is begun after it is set.
                ending = self._ending
                self._collect()
                self._settle(force=self._begun == self._collected)
                if self.settling:
                    time.sleep(_LOOK)
                elif ending:
                    return
                else:
                    self._news.wait()
                    self._news.clear()
        except BaseException as error:  # whoever waits for this thread is told
            self.failure = error

    def _collect(self) -> None:
        try:
            while True:
                finished = self.done.get_nowait()
                if not self._unsettled:
                    self._unsettled_since = time.monotonic()
                self._unsettled.append(finished)
                self._collected += 1
                if finished.took is not None:
                    self.latency = (
                        self.latency + (finished.took - self.latency) * 0.2 if self.latency else finished.took
                    )
        except Empty:
            pass

    def _settle(self, *, force: bool) -> None:
        if not self._unsettled:
            return
        waited = time.monotonic() - self._unsettled_since
        if not force and len(self._unsettled) < _SETTLE_AT and waited < _LINGER:
            return
        try:
            _write(self._unsettled)
        except Exception as error:
            if own_trouble(error):
                if waited > _PATIENCE:
                    raise
                # The outcomes are known, so try again.
                _log.warning("settle_again", count=len(self._unsettled), error=type(error).__name__)
                time.sleep(_AGAIN)
                return
            _log.error("settle_failed", count=len(self._unsettled), error=type(error).__name__)
            if not self._settle_one_by_one():
                return
        _tell(self._unsettled)
        self.sent += sum(each.answer.result == "sent" for each in self._unsettled)
        late = any(each.answer.reason == TOO_OLD for each in self._unsettled)
        self.nerve = self.nerve / 2 if late else min(1.0, self.nerve + 0.05)
        self._pages.heed(self._unsettled)
        self._unsettled = []

    def _settle_one_by_one(self) -> bool:
        """One outcome cannot be written: the others must not be lost with it, and the sweep puts that one in doubt.

        False: all are to be tried again; an outcome counts once.
        """
        written = []
        for finished in self._unsettled:
            try:
                _write([finished])
                written.append(finished)
            except Exception as error:
                if own_trouble(error):
                    return False
                _log.error("outcome_lost", attempt=finished.begun.attempt_id, error=type(error).__name__)
        self._unsettled = written
        return True


def _write(finished: Sequence[Finished]) -> None:
    with database.session() as session:
        settle(session, [_outcome(one) for one in finished], clock.now())
    crash_points.reach("settle.after_commit")
    ended = [(one.begun.attempt_id, one.begun.message_id, one.answer.result, one.answer.mid) for one in finished]
    watch().ended(ended, clock.now())


def _tell(finished: Sequence[Finished]) -> None:
    """Count what ended, and log it: a line for each request behind it."""
    ended: dict[str | None, dict[str, list[int]]] = {}
    for each in finished:
        answer = each.answer
        attempt_ended(answer.result, answer.kind, each.took)
        ended.setdefault(each.begun.request_id, {}).setdefault(answer.kind, []).append(each.begun.attempt_id)
    for request_id, attempts in ended.items():
        _log.info("settled", request_id=request_id, attempts=attempts)


def _outcome(finished: Finished) -> Outcome:
    begun, answer = finished.begun, finished.answer
    return Outcome(
        message_id=begun.message_id,
        attempt_id=begun.attempt_id,
        contact_id=begun.contact_id,
        page_id=begun.page_id,
        result=answer.result,
        reason=answer.reason,
        http_status=answer.http_status,
        code=answer.code,
        subcode=answer.subcode,
        mid=answer.mid,
        effect=None if answer.effect == "throttle" else answer.effect,
        token_id=begun.token.id if begun.token is not None else None,
        pause=_pause_of(finished),
    )


def _pause_of(finished: Finished) -> int | None:
    answer = finished.answer
    if not (answer.retry or answer.effect == "window_closed"):
        return None
    if answer.reason in NOBODYS_FAULT:
        # Whom we kept back ourselves goes back in line, and waits a moment only if that happens again: not the longer
        # every time.
        return pause_seconds(1) if finished.begun.tries > 1 else None
    return pause_seconds(finished.begun.tries)
