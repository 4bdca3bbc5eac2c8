"""Delivers due messages: begin → post → settle, without barriers, until the time slice ends.

The main thread owns the database and decides; sender threads own the network and decide nothing. While earlier posts
are in flight the next batch is begun, and whatever is finished is settled in bulk.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from scheduler import clock, crash_points
from scheduler.errors import Unavailable
from scheduler.logs import get_logger
from scheduler.metrics import attempt_ended
from scheduler.outbox.begin import BATCH, BATCH_OF_A_PAGE, Begun, begin
from scheduler.outbox.pauses import pause_seconds
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.states import LANES
from scheduler.settings import get_settings
from scheduler.store import database
from workers.directory import Directory
from workers.send_api.answers import Answer, of_paid
from workers.send_api.client import GraphClient, Sender
from workers.send_api.payload import build_path, build_payload
from workers.send_api.throttle import Reserved, Throttle, fresh_for

_log = get_logger(__name__)

#: INVARIANT: real seconds between the decision and the post. Whatever is older goes back unsent and is decided anew.
OLDEST_DECISION = 0.250
#: Real seconds that one task runs at most, and that it waits for something to do before it ends.
TIME_SLICE = 4.0
IDLE = 1.0
#: Each lane keeps one in so many of what is begun, as it does of the rate (see ``throttle.lua``).
_SHARE = 5
#: Real seconds that a finished attempt waits for others to be settled with.
_LINGER = 0.05
_SETTLE_AT = 64
#: Real seconds between two looks into a lane that was empty while the other has work.
_ASK_AGAIN = 0.1
#: Real seconds between two looks when there is nothing to begin, and when all that is due is on pages that are shut.
_PAUSE = 0.02
_SHUT_PAUSE = 0.2
#: Real seconds for which settling is tried while the database is away. The sweep takes what is left over.
_PATIENCE = 15.0

#: The code of a throttle that is the app's, and the reasons that say nothing about the platform.
_APP_LIMIT = 4
_NOBODYS_FAULT = frozenset({"decision_too_old", "rate_spent", "rate_unknown", "worker_error"})

#: What passes by itself: a database that is restarting, a deadlock's victim, a lock that took too long.
_PASSING = (Unavailable, OperationalError, PoolTimeout)

_WANTING = text("""
    SELECT p.id FROM page p WHERE EXISTS (
        SELECT 1 FROM message m WHERE m.page_id = p.id AND m.lane = :lane AND m.state = 'due')
""")


@dataclass(slots=True, kw_only=True)
class Channel:
    """What a process needs to send: made once, used by every task."""

    client: GraphClient
    throttle: Throttle
    pool: ThreadPoolExecutor
    threads: int
    directory: Directory = field(default_factory=Directory)


@dataclass(slots=True, kw_only=True)
class _Errand:
    """What a sender thread is sent out with."""

    begun: Begun
    sender: Sender
    lane: str
    rate: int
    #: When the rate token was taken and when the decision fell, ``time.monotonic()``.
    reserved_at: float
    decided_at: float
    #: The one message that finds out whether its page works again.
    probe: bool


@dataclass(slots=True)
class _Finished:
    errand: _Errand
    answer: Answer
    #: Real seconds that the post took; None when it was not tried.
    took: float | None

    @property
    def begun(self) -> Begun:
        return self.errand.begun


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
        self._done: queue.SimpleQueue[_Finished] = queue.SimpleQueue()
        self._unsettled: list[_Finished] = []
        self._unsettled_since = 0.0
        self._in_flight = 0
        self._latency = 0.0
        #: Until when pages are shut, as far as this run knows: ``time.monotonic()``.
        self._shut: dict[int, float] = {}
        #: The pages that had something due in each lane when it was last looked at.
        self._wanted: dict[str, set[int]] = {lane: set() for lane in self._lanes}
        #: When each lane was last looked at, ``time.monotonic()``.
        self._asked_at = dict.fromkeys(self._lanes, float("-inf"))
        #: What was begun in each lane.
        self._begun = dict.fromkeys(self._lanes, 0)
        self.sent = 0

    def run(self) -> int:
        """Deliver until the time slice is over or nothing is left to do; returns how many messages were accepted."""
        started = busy = time.monotonic()
        failure: Exception | None = None
        while True:
            present = time.monotonic()
            over = failure is not None or self._stopping() or present - started >= self._time_slice
            began = False
            try:
                began = not over and self._begin_some()
            except Exception as error:
                # Begin nothing more. What is on the wire is settled first: nobody else knows its fate.
                failure, over = error, True
            if began or self._in_flight or self._tokens_are_coming(present):
                busy = present
            self._collect(0.0 if began else self._patience(present))
            self._settle(force=self._in_flight == 0)
            if not self._in_flight and not self._unsettled and (over or present - busy >= self._idle):
                if failure is not None:
                    raise failure
                return self.sent

    def _begin_some(self) -> bool:
        """Begin a batch in each lane as far as there is room; true when there was something to decide."""
        found = False
        first, second = self._lanes
        # Where requests are slow it is room that is short, not tokens: the second lane keeps its share of that too.
        asked: set[str] = set()
        for lane, most in ((second, self._owed(second)), (first, BATCH), (second, BATCH)):
            room = min(self._room(), most)
            if room <= 0 or (lane in asked and not self._wanted[lane]) or self._asked_just_now(lane):
                continue
            asked.add(lane)
            self._asked_at[lane] = time.monotonic()
            try:
                found = self._begin(lane, room) or found
            except redis.RedisError as error:
                # Whoever cannot ask how much it may send, sends nothing.
                _log.warning("no_rate_tokens", error=type(error).__name__)
                self._wanted = {lane: set() for lane in self._lanes}
                return False
            except _PASSING as error:
                _log.warning("begin_again", error=type(error).__name__)
                self._wanted = {lane: set() for lane in self._lanes}
                return False
        return found

    def _asked_just_now(self, lane: str) -> bool:
        """Whether the lane was empty a moment ago, while the other is busy: to ask costs as much as a few messages."""
        busy = any(self._wanted[other] for other in self._lanes if other != lane)
        return busy and not self._wanted[lane] and time.monotonic() - self._asked_at[lane] < _ASK_AGAIN

    def _begin(self, lane: str, room: int) -> bool:
        directory, throttle = self._channel.directory, self._channel.throttle
        with database.session() as session:
            directory.refresh(session)
            wanting = {page for page in _wanting(session, lane) if directory.knows(page)}
            # A page that wants no more says so once: until then the other lane leaves it its share.
            rates = {page: directory.rate(page) for page in wanting | self._wanted[lane] if directory.knows(page)}
            open_ = self._open(rates, time.monotonic())
            wants = {page: (rates[page], min(BATCH_OF_A_PAGE, room) if page in wanting else 0) for page in open_}
            self._wanted[lane] = wanting
            crash_points.reach("deliver.before_reserve")
            reserved_at = time.monotonic()
            reserved = throttle.reserve(lane, wants)
            self._remember_shut(reserved, reserved_at)
            granted = {page: count for page, count in reserved.granted.items() if count > 0}
            decided_at = time.monotonic()
            batch = begin(session, lane, granted, clock.now(), limit=room, retries=reserved.retries) if granted else []
            if batch:
                crash_points.reach("deliver.before_commit")
        # Committed: from here on the attempts stand, whatever happens to this process.
        if batch:
            crash_points.reach("deliver.after_commit")
        self._begun[lane] += len(batch)
        for begun in batch:
            page = begun.page_id
            granted[page] -= 1
            self._in_flight += 1
            errand = _Errand(
                begun=begun, sender=directory.sender(page), lane=lane, rate=rates[page],
                reserved_at=reserved_at, decided_at=decided_at, probe=page in reserved.probing,
            )  # fmt: skip
            self._channel.pool.submit(self._post, errand)
        unused = {page: (rates[page], count) for page, count in granted.items() if count}
        throttle.give_back(lane, unused)
        # A probe that found nothing to send lets the next one through.
        throttle.report(dict.fromkeys(reserved.probing & unused.keys(), "N"))
        throttle.spend_retries(Counter(begun.page_id for begun in batch if begun.retry))
        return bool(granted)

    def _open(self, pages: Iterable[int], present: float) -> list[int]:
        """Those of the pages that are not known to be shut."""
        return [page for page in pages if self._shut.get(page, 0.0) <= present]

    def _remember_shut(self, reserved: Reserved, present: float) -> None:
        # Nobody asks for them again before that: what is due there waits without being looked at.
        for page, seconds in reserved.shut.items():
            self._shut[page] = present + seconds

    def _owed(self, lane: str) -> int:
        """How many of ``lane`` are to be begun before anything else, so that a fifth of this run is its own."""
        room = self._room()
        # What it did not want before it does not get all at once.
        return min((sum(self._begun.values()) + room) // _SHARE - self._begun[lane], max(1, room // 2))

    def _tokens_are_coming(self, present: float) -> bool:
        """Whether something is due on a page that is not shut: its tokens come within a second."""
        return any(self._open(pages, present) for pages in self._wanted.values())

    def _patience(self, present: float) -> float:
        """Real seconds until the next look, where there was nothing to begin."""
        waiting = any(self._wanted.values()) and not self._in_flight and not self._tokens_are_coming(present)
        return _SHUT_PAUSE if waiting else _PAUSE

    def _room(self) -> int:
        # Where answers come fast, one batch may wait in line while the other is posted; where they are slow, what
        # waits in line grows too old.
        ahead = self._channel.threads if self._latency < OLDEST_DECISION / 3 else 0
        room = self._channel.threads + ahead - self._in_flight
        # A batch costs the same whatever its size: not one for every post that ends.
        return room if room >= max(1, self._channel.threads // 2) else 0

    def _post(self, errand: _Errand) -> None:
        """In a sender thread: post one message, or give it back. Never raises, never touches the database."""
        begun, sender, took = errand.begun, errand.sender, None
        try:
            started = time.monotonic()
            if started - errand.decided_at > OLDEST_DECISION:
                answer = Answer(kind="not_sent", reason="decision_too_old", retry=True)
            else:
                payload = build_payload(begun.psid, begun.content, begun.metadata, begun.token)
                crash_points.reach("deliver.before_post")
                write_by = errand.decided_at + _first_byte_within()
                last_word = partial(_why_not_now, self._channel.throttle, errand)
                answer = self._channel.client.post_message(
                    sender, payload, path=build_path(sender.external_id, begun.token),
                    write_by=write_by, last_word=last_word,
                )  # fmt: skip
                if begun.token is not None and begun.token.kind == "marketing":
                    answer = of_paid(answer)
                crash_points.reach("deliver.after_answer")
                took = time.monotonic() - started
        except Exception as error:  # whatever it is, the attempt must be settled, and nobody knows how far it got
            _log.exception("post_failed", error=type(error).__name__)
            answer = Answer(kind="in_doubt", reason="worker_error")
        self._done.put(_Finished(errand, answer, took))

    def _collect(self, patience: float) -> None:
        """Take over what the threads have finished; wait up to ``patience`` real seconds for the first."""
        try:
            while True:
                finished = self._done.get(timeout=patience) if patience else self._done.get_nowait()
                patience = 0.0
                self._in_flight -= 1
                if not self._unsettled:
                    self._unsettled_since = time.monotonic()
                self._unsettled.append(finished)
                if finished.took is not None:
                    self._latency += (finished.took - self._latency) * 0.2
        except queue.Empty:
            pass

    def _settle(self, *, force: bool) -> None:
        if not self._unsettled:
            return
        waited = time.monotonic() - self._unsettled_since
        if not force and len(self._unsettled) < _SETTLE_AT and waited < _LINGER:
            return
        try:
            _write(self._unsettled)
        except _PASSING as error:
            if waited > _PATIENCE:
                raise
            # The outcomes are known, so try again.
            _log.warning("settle_again", count=len(self._unsettled), error=type(error).__name__)
            time.sleep(_PAUSE)
            return
        except Exception as error:
            _log.error("settle_failed", count=len(self._unsettled), error=type(error).__name__)
            if not self._settle_one_by_one():
                return
        self._follow_up()
        self._unsettled.clear()

    def _settle_one_by_one(self) -> bool:
        """One outcome cannot be written: the others must not be lost with it, and the sweep puts that one in doubt.

        False: all are to be tried again; an outcome counts once.
        """
        written = []
        for finished in self._unsettled:
            try:
                _write([finished])
                written.append(finished)
            except _PASSING:
                return False
            except Exception as error:
                _log.error("outcome_lost", attempt=finished.begun.attempt_id, error=type(error).__name__)
        self._unsettled = written
        return True

    def _follow_up(self) -> None:
        _tell(self._unsettled)
        letters: dict[int, str] = {}
        try:
            for finished in self._unsettled:
                page, answer = finished.begun.page_id, finished.answer
                self.sent += answer.result == "sent"
                letters[page] = letters.get(page, "") + _letter(finished)
                if answer.effect == "throttle" or answer.usage.near:
                    self._pause(page, answer)
                elif answer.result == "sent" and self._shut.pop(page, None) is not None:
                    self._channel.throttle.reopen(page)
            for page, seconds in self._channel.throttle.report(letters).items():
                self._shut[page] = time.monotonic() + seconds
                _log.warning("breaker_opened" if seconds else "breaker_closed", page=page, seconds=seconds)
        except redis.RedisError as error:
            _log.warning("no_rate_tokens", error=type(error).__name__)

    def _pause(self, page: int, answer: Answer) -> None:
        """Heed a throttle, or the warning that one is near."""
        # A limit of the app is one of all its pages: each of them would run into it, and prolong it.
        of_app = answer.usage.of_app or (answer.effect == "throttle" and answer.code == _APP_LIMIT)
        others = self._channel.directory.siblings(page) if of_app else ()
        pause = self._channel.throttle.close(page, answer.wait, others=others)
        present = time.monotonic()
        for each in (page, *others):
            # Where the page was shut already, nobody knows here for how long: not worth staying for.
            if pause or each not in self._shut:
                self._shut[each] = present + (pause or self._time_slice)
        if pause:
            _log.warning(
                "page_paused", page=page, others=len(others), seconds=pause, reason=answer.reason or "near_the_limit",
                code=answer.code, used=max(answer.usage.page, answer.usage.app),
            )  # fmt: skip


def _why_not_now(throttle: Throttle, errand: _Errand) -> str | None:
    """The last word before a first byte, in a sender thread: what the page's rate has against it this instant."""
    # INVARIANT: a token is for its own second. One that grew old in line, or over a slow connect, is not carried into
    # another. (A probe is alone.)
    if errand.probe or time.monotonic() - errand.reserved_at <= fresh_for(errand.rate):
        return None
    try:
        return None if throttle.renew(errand.lane, errand.begun.page_id, errand.rate) else "rate_spent"
    except redis.RedisError:
        return "rate_unknown"


def _letter(finished: _Finished) -> str:
    """What an attempt tells the page's breaker: see ``Throttle.report``."""
    answer = finished.answer
    if answer.kind in ("not_sent", "in_doubt"):
        letter = "n" if answer.reason in _NOBODYS_FAULT else "f"
    else:
        # Whatever the platform said, it answered.
        letter = "a"
    return letter.upper() if finished.errand.probe else letter


def _first_byte_within() -> float:
    """Real seconds after the decision within which a request must begin to leave, however slow the connect was.

    What the send guard leaves: of it, a second of the clock went with the fraction that ``clock.now`` drops, and the
    way to the platform takes its share.
    """
    return max(OLDEST_DECISION, get_settings().send_guard - 1.0 / clock.rate() - OLDEST_DECISION)


def _wanting(session: Session, lane: str) -> list[int]:
    return list(session.connection().execute(_WANTING, {"lane": lane}).scalars())


def _write(finished: Sequence[_Finished]) -> None:
    with database.session() as session:
        settle(session, [_outcome(one) for one in finished], clock.now())
    crash_points.reach("settle.after_commit")


def _tell(finished: Sequence[_Finished]) -> None:
    """Count what ended, and log it: a line for each request behind it."""
    ended: dict[str | None, dict[str, list[int]]] = {}
    for each in finished:
        answer = each.answer
        attempt_ended(answer.result, answer.kind, each.took)
        ended.setdefault(each.begun.request_id, {}).setdefault(answer.kind, []).append(each.begun.attempt_id)
    for request_id, attempts in ended.items():
        _log.info("settled", request_id=request_id, attempts=attempts)


def _outcome(finished: _Finished) -> Outcome:
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


def _pause_of(finished: _Finished) -> int | None:
    answer = finished.answer
    if not (answer.retry or answer.effect == "window_closed"):
        return None
    if answer.reason in _NOBODYS_FAULT:
        # Whom we kept back ourselves goes back in line, and waits a moment only if that happens again: not the longer
        # every time.
        return pause_seconds(1) if finished.begun.tries > 1 else None
    return pause_seconds(finished.begun.tries)
