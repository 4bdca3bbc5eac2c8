"""The sender threads of a process: they run what they are handed, in the order in which it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
Work = Callable[[], object]


class Senders:
    """So many threads, started when there is something for them to do.

    A bare queue: an executor's futures, for which nobody here waits, cost a tenth of what a post does.
    """

    def __init__(self, threads: int) -> None:
        """``threads`` at most run at once."""
        self._most = threads
        self._line: SimpleQueue[Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def hand(self, works: Iterable[Work]) -> None:
        """Let the threads run these. They must not raise: nobody would hear of it."""
        with self._lock:
            for work in works:
                self._line.put(work)
                if len(self._threads) < self._most:
                    self._start()

    def map(self, function: Callable[[_In], _Out], items: Iterable[_In]) -> list[_Out]:
        """What ``function`` makes of each item, in their order. Raises what one of them raised, once all have ended."""
        ended: SimpleQueue[tuple[int, _Out | None, Exception | None]] = SimpleQueue()

        def work(place: int, item: _In) -> None:
            try:
                ended.put((place, function(item), None))
            except Exception as error:
                ended.put((place, None, error))

        works = [partial(work, place, item) for place, item in enumerate(items)]
        self.hand(works)
        answers = sorted((ended.get() for _ in works), key=lambda answer: answer[0])
        for _, _, error in answers:
            if error is not None:
                raise error
        return [answer for _, answer, _ in answers]  # type: ignore[misc]  # without an error it is what was made

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        """End the threads when they have run what they were handed; ``cancel_futures`` forgets what waits in line."""
        with self._lock:
            while cancel_futures:
                try:
                    self._line.get_nowait()
                except Empty:
                    break
            threads, self._threads = self._threads, []
            for _ in threads:
                self._line.put(None)
        for thread in threads:
            if wait:
                thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name=f"sender_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while (work := self._line.get()) is not None:
            work()
