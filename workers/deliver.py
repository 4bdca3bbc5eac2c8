"""Delivers due messages: begin → post → settle, without barriers, until the time slice ends.

Three kinds of threads: this one decides and writes down what is begun, sender threads post it (``posting.py``) and
decide nothing, one more settles what they finished (``settling.py``). None waits for another: while some messages are
on the wire, the next are begun and the last are settled.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import redis
from sqlmodel import Session

from scheduler import clock, crash_points
from scheduler.lineage.watch import watch
from scheduler.logs import get_logger
from scheduler.outbox.begin import BATCH, BATCH_OF_A_PAGE, Begun, begin, rehearse
from scheduler.outbox.states import LANES
from scheduler.settings import get_settings
from scheduler.store import database
from workers.directory import Directory
from workers.follow_up import Pages
from workers.posting import NO_MARK, OLDEST_DECISION, Errand, Finished, post
from workers.send_api.answers import Answer
from workers.send_api.client import GraphClient
from workers.send_api.throttle import Reserved, Throttle
from workers.senders import Senders
from workers.settling import PASSING, Settler
from workers.wanting import Wanting

_log = get_logger(__name__)

#: Real seconds that one task runs at most, and that it waits for something to do before it ends.
TIME_SLICE = 4.0
IDLE = 1.0
#: Each lane keeps one in so many of what is begun, as it does of the rate (see ``throttle.lua``).
_SHARE = 5
#: Real seconds that a message may wait in line behind others, on average. Where answers are slower than a third of the
#: age of a decision, nothing waits in line: who comes to it in turn would come too late.
_IN_LINE = 0.08
_SLOW = OLDEST_DECISION / 3
#: So many threads are few: no more wait in line than are on the wire.
_FEW = 16
#: Real seconds between two looks: when there is no room, when there is nothing to begin, and when all that is due is on
#: pages that are shut.
_MOMENT = 0.004
_PAUSE = 0.02
_SHUT_PAUSE = 0.2


@dataclass(slots=True, kw_only=True)
class Channel:
    """What a process needs to send: made once, used by every task."""

    client: GraphClient
    throttle: Throttle
    pool: Senders
    threads: int
    directory: Directory = field(default_factory=Directory)
    #: Whether this process has begun anything before.
    rehearsed: bool = False


class Delivery:
    """One run of the deliver task."""

    def __init__(
        self,
        lane: str,
        channel: Channel,
        *,
        stopping: Callable[[], bool] = lambda: False,
        time_slice: float = TIME_SLICE,
        idle: float = IDLE,
    ) -> None:
        """Serve ``lane`` first and the other with what room is left; end early when ``stopping`` says so."""
        # One task may be the only one of its worker, so no lane waits for a task of its own.
        self._lanes = (lane, *(other for other in LANES if other != lane))
        self._channel = channel
        self._stopping = stopping
        self._time_slice = time_slice
        self._idle = idle
        self._pages = Pages(channel.throttle, channel.directory, unknown=time_slice)
        self._wanting = {lane: Wanting(lane, channel.directory, self._pages) for lane in self._lanes}
        #: What was begun in each lane.
        self._begun = dict.fromkeys(self._lanes, 0)
        #: What this process begins is marked outside the database, and held against it.
        self._watch = watch()
        self._held = False

    def run(self) -> int:
        """Deliver until the time slice is over or nothing is left to do; returns how many messages were accepted."""
        self._settler = Settler(self._pages)
        try:
            self._begin_while_there_is_time()
        finally:
            # Also after a failure: what is on the wire is settled, for nobody else knows its fate.
            self._settler.finish()
            if any(self._begun.values()):
                self._watch.keep_in_redis(clock.now())
        return self._settler.sent

    def _begin_while_there_is_time(self) -> None:
        self._held = not self._may_send()
        started = busy = time.monotonic()
        while not (self._held or self._stopping()) and self._settler.failure is None:
            present = time.monotonic()
            if present - started >= self._time_slice:
                return
            began = self._begin_some()
            if began or self._settler.settling or self._tokens_are_coming(present):
                busy = present
            elif present - busy >= self._idle:
                return
            if not began:
                time.sleep(self._patience(present))

    def _may_send(self) -> bool:
        """Whether the database knows all that was begun; one that was restored does not, and is held."""
        try:
            with database.session() as session:
                return self._watch.may_send(session, clock.now())
        except PASSING as error:
            _log.warning("begin_again", error=type(error).__name__)
            return False

    def _begin_some(self) -> bool:
        """Begin a batch in each lane as far as there is room; true when there was something to decide."""
        found = False
        first, second = self._lanes
        # Where requests are slow it is room that is short, not tokens: the second lane keeps its share of that too.
        asked: set[str] = set()
        for lane, most in ((second, self._owed(second)), (first, BATCH), (second, BATCH)):
            room = min(self._room(), most)
            wanting = self._wanting[lane]
            if room <= 0 or (lane in asked and not wanting.pages) or self._asked_just_now(lane):
                continue
            asked.add(lane)
            try:
                found = self._begin(lane, room) or found
            except redis.RedisError as error:
                # Whoever cannot ask how much it may send, sends nothing.
                _log.warning("no_rate_tokens", error=type(error).__name__)
                self._forget()
                return False
            except PASSING as error:
                _log.warning("begin_again", error=type(error).__name__)
                self._forget()
                return False
        return found

    def _forget(self) -> None:
        for wanting in self._wanting.values():
            wanting.forget()

    def _asked_just_now(self, lane: str) -> bool:
        """Whether the lane was empty a moment ago, while the other is busy: to ask costs as much as a few messages."""
        busy = any(self._wanting[other].pages for other in self._lanes if other != lane)
        return busy and not self._wanting[lane].pages and self._wanting[lane].fresh(time.monotonic())

    def _begin(self, lane: str, room: int) -> bool:
        directory, throttle, wanting = self._channel.directory, self._channel.throttle, self._wanting[lane]
        with database.session() as session:
            # A new connection may lead to another database than the one before.
            if self._watch.stale() and not self._watch.may_send(session, clock.now()):
                self._held = True
                return False
            directory.refresh(session)
            self._rehearse(session)
            wants = wanting.look(session, room, min(BATCH_OF_A_PAGE, room), time.monotonic())
            crash_points.reach("deliver.before_reserve")
            reserved_at = time.monotonic()
            reserved = throttle.reserve(lane, wants)
            wanting.answered(wants, reserved, reserved_at)
            granted = {page: count for page, count in reserved.granted.items() if count > 0}
            decided_at = time.monotonic()
            batch = begin(session, lane, granted, clock.now(), limit=room, retries=reserved.retries) if granted else []
            if batch:
                crash_points.reach("deliver.before_commit")
        # Committed: from here on the attempts stand, whatever happens to this process.
        if batch:
            crash_points.reach("deliver.after_commit")
            self._begun[lane] += len(batch)
            self._hand(lane, batch, reserved, reserved_at, decided_at)
        self._give_back(lane, batch, granted, reserved)
        if len(batch) < room:
            # Less was due than it seemed, or somebody else has it.
            wanting.look_again()
        return bool(granted)

    def _rehearse(self, session: Session) -> None:
        """Once a process, before the first decision: its age counts from then on."""
        if not self._channel.rehearsed:
            rehearse(session, self._channel.directory.pages, clock.now())
            self._channel.rehearsed = True

    def _hand(
        self, lane: str, batch: Sequence[Begun], reserved: Reserved, reserved_at: float, decided_at: float
    ) -> None:
        directory, settler, channel = self._channel.directory, self._settler, self._channel
        write_by = decided_at + _first_byte_within()
        settler.expect(len(batch))
        errands = [
            Errand(
                begun=begun, sender=directory.sender(begun.page_id), lane=lane, rate=directory.rate(begun.page_id),
                reserved_at=reserved_at, decided_at=decided_at, write_by=write_by,
                probe=begun.page_id in reserved.probing,
            )
            for begun in batch
        ]  # fmt: skip

        def run(errand: Errand) -> None:
            settler.done.put(post(errand, channel.client, channel.throttle))

        # INVARIANT: what is posted is marked outside the database first.
        try:
            self._watch.begun([begun.mark for begun in batch], clock.now())
        except OSError as error:
            _log.error("marks_cannot_be_kept", error=type(error).__name__)
            self._held = True
            unsent = Answer(kind="not_sent", reason=NO_MARK, retry=True)
            for errand in errands:
                settler.done.put(Finished(errand, unsent, None))
            return
        channel.pool.hand([partial(run, errand) for errand in errands])

    def _give_back(self, lane: str, batch: Sequence[Begun], granted: dict[int, int], reserved: Reserved) -> None:
        """Return the tokens that were not used, and tell what else the batch did to its pages."""
        throttle, directory = self._channel.throttle, self._channel.directory
        used = Counter(begun.page_id for begun in batch)
        unused = {
            page: (directory.rate(page), count - used[page]) for page, count in granted.items() if count > used[page]
        }
        throttle.give_back(lane, unused)
        # A probe that found nothing to send lets the next one through.
        throttle.report(dict.fromkeys(reserved.probing & unused.keys(), "N"))
        throttle.spend_retries(Counter(begun.page_id for begun in batch if begun.retry))

    def _owed(self, lane: str) -> int:
        """How many of ``lane`` are to be begun before anything else, so that a fifth of this run is its own."""
        room = self._room()
        # What it did not want before it does not get all at once.
        return min((sum(self._begun.values()) + room) // _SHARE - self._begun[lane], max(1, room // 2))

    def _tokens_are_coming(self, present: float) -> bool:
        """Whether something is due on a page that is not shut: its tokens come within a second."""
        return any(self._pages.open(wanting.pages, present) for wanting in self._wanting.values())

    def _patience(self, present: float) -> float:
        """Real seconds until the next look, where there was nothing to begin."""
        if not any(wanting.pages for wanting in self._wanting.values()):
            return _PAUSE
        if self._settler.in_flight:
            return _MOMENT
        return _PAUSE if self._tokens_are_coming(present) else _SHUT_PAUSE

    def _room(self) -> int:
        """How many more may be begun now; 0 where so few are not worth a batch."""
        threads, latency = self._channel.threads, self._settler.latency
        # Of what waits in line nobody can tell that it never left, if this process is killed. Where threads are few,
        # so is that; where they are many, they must not run dry while the next batch is decided.
        most = max(threads, 2 * threads - _FEW)
        if not latency:
            ahead = threads
        elif latency < _SLOW:
            ahead = min(most, round(threads * _IN_LINE / latency))
        else:
            ahead = 0
        ahead = round(ahead * self._settler.nerve)
        room = threads + ahead - self._settler.in_flight
        # A batch costs much the same whatever its size: not one for every post that ends.
        worth = min(BATCH // 2, (threads + ahead) // 2) if ahead else threads // 8
        return room if room >= max(1, worth) else 0


def _first_byte_within() -> float:
    """Real seconds after the decision within which a request must begin to leave, however slow the connect was.

    What the send guard leaves: of it, a second of the clock went with the fraction that ``clock.now`` drops, and the
    way to the platform takes its share.
    """
    return max(OLDEST_DECISION, get_settings().send_guard - 1.0 / clock.rate() - OLDEST_DECISION)
