"""Keeps programs running: one thread that starts them all and starts again what has died."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from scheduler.errors import Unavailable
from scheduler.logs import get_logger
from scheduler.store import process
from scheduler.supervise.program import Kept, Program

log = get_logger(__name__)

_LOOK_EVERY = 0.1
#: Before its second restart in a row; the first is at once.
_FIRST_WAIT = 0.25
#: With a worker's own start it sends again within ten seconds, however often it died before.
_LONGEST_WAIT = 4.0
#: One that is to stand by is started so long after the last start: who does the work comes first.
_STAND_BY_AFTER = 8.0
#: A program that ran this long is well again: its next death is its first.
_WELL_AFTER = 20.0
#: A program that dies this often before it is ever ready will not be.
_HOPELESS = 3


@dataclass(slots=True)
class _Life:
    kept: Kept
    started: float = 0.0
    #: When one that stands by is started next; None where none is, or before it was ready once.
    stand_by_at: float | None = None
    deaths: int = 0
    #: When to start it again; None while it runs.
    again_at: float | None = None


class Keeper:
    """Starts, watches, restarts and stops. All starting happens in its own thread, whose end would end the programs."""

    def __init__(self) -> None:
        """Begin to keep; nothing runs yet."""
        self._lives: list[_Life] = []
        self._wishes: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()
        self.restarts: dict[str, int] = {}

    def start(self, *programs: Kept, seconds: float) -> None:
        """Start them side by side and wait until all are ready. Raises Unavailable with the end of the log of one that
        is not."""
        lives = [_Life(kept) for kept in programs]

        def begin() -> None:
            for life in lives:
                life.kept.start()
                life.started = time.monotonic()
                self._lives.append(life)

        self._in_thread(begin)
        deadline = time.monotonic() + seconds
        for life in lives:
            self._wait_for(life, deadline - time.monotonic())

    def _wait_for(self, life: _Life, seconds: float) -> None:
        kept = life.kept
        process.wait_until(lambda: kept.ready() or life.deaths >= _HOPELESS or self._closing.is_set(), seconds=seconds)
        if not kept.ready():
            raise Unavailable(f"{kept.name} does not start; the end of {kept.log}:\n{process.tail(kept.log)}")
        life.stand_by_at = time.monotonic() + _STAND_BY_AFTER

    def processes(self) -> dict[str, int]:
        """The process id of every program that runs now, by name."""
        running = {}
        for life in list(self._lives):
            started = life.kept.process
            if started is not None and started.poll() is None:
                running[life.kept.name] = started.pid
        return running

    def standing_by(self) -> dict[str, int]:
        """The process id of every one that waits to take over, by name."""
        found = {}
        for life in list(self._lives):
            waiting = life.kept.waiting if isinstance(life.kept, Program) else None
            if waiting is not None and waiting.poll() is None:
                found[life.kept.name] = waiting.pid
        return found

    def stop(self) -> None:
        """Stop everything, in the reverse order of starting, and end the thread. May be called twice."""
        self._closing.set()
        self._thread.join()

    def _stop_all(self) -> None:
        # Programs end side by side; servers only after them, each in its turn.
        for life in self._lives:
            if isinstance(life.kept, Program):
                life.kept.ask()
        for life in reversed(self._lives):
            life.kept.stop()
        self._lives.clear()

    def _in_thread(self, act: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._wishes.put((act, done))
        done.result()

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                act, done = self._wishes.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                pass
            else:
                try:
                    act()
                except BaseException as error:  # it belongs to whoever waits for it
                    done.set_exception(error)
                else:
                    done.set_result(None)
            for life in self._lives:
                self._look_after(life)
        self._stop_all()

    def _look_after(self, life: _Life) -> None:
        now = time.monotonic()
        if life.again_at is not None:
            if now >= life.again_at:
                self._revive(life)
            return
        died = life.kept.process
        if died is None or died.poll() is None:
            self._let_stand_by(life, now)
            return
        # Its children may live on: a killed Celery worker leaves its pool.
        process.kill_group(died.pid)
        life.deaths = 1 if now - life.started > _WELL_AFTER else life.deaths + 1
        wait = _pause_after(life.deaths)
        life.again_at = now + wait
        log.warning(
            "process_died", process=life.kept.name, status=died.returncode, again_in=wait, log=str(life.kept.log)
        )
        if not wait:
            self._revive(life)

    def _let_stand_by(self, life: _Life, now: float) -> None:
        if isinstance(life.kept, Program) and life.stand_by_at is not None and now >= life.stand_by_at:
            # One that died at once is not started again at once.
            life.stand_by_at = now + _STAND_BY_AFTER
            life.kept.stand_by()

    def _revive(self, life: _Life) -> None:
        try:
            life.kept.start()
        except Exception:
            life.deaths += 1
            life.again_at = time.monotonic() + max(_FIRST_WAIT, _pause_after(life.deaths))
            log.exception("process_not_restarted", process=life.kept.name)
            return
        life.again_at = None
        life.started = time.monotonic()
        life.stand_by_at = life.started + _STAND_BY_AFTER
        self.restarts[life.kept.name] = self.restarts.get(life.kept.name, 0) + 1
        log.info("process_restarted", process=life.kept.name, pid=life.kept.process.pid if life.kept.process else None)


def _pause_after(deaths: int) -> float:
    """Real seconds before it is started again: none after the first death, then ever more."""
    return min(_FIRST_WAIT * 2.0 ** (deaths - 2), _LONGEST_WAIT) if deaths > 1 else 0.0
