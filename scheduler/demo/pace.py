"""Paces the demo by what the machine does: its clock stands while the machine is behind.

A demo plays a virtual day in a minute or two. On a machine that is slow, or busy with something else, a worker that
takes ten real seconds to start would lose hours of that day, and the day would show what the machine can do instead of
what Duly does. So the clock begins to run when everything is up, as fast as the start of the programs says that this
machine can follow, and stands whenever something waits for longer than it does where nothing is in the way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future

from scheduler import clock
from scheduler.clock_file import ClockFile
from scheduler.demo.shop import Platform, Shop

#: Real seconds that the start of everything takes on a machine that is not in the way: it plays at full speed.
_QUICK_START = 10.0
_SLOWEST = 12.0
#: What workers do every second.
_TASKS = ("tick", "plan")
#: Real seconds for which they may be silent, a message may be due, an act of the shop may take.
_SILENT, _DUE, _ACT = 4.0, 6.0, 3.0
#: So many events of people may be on their way to the webhook.
_EVENTS = 25
#: Real seconds after which standing has not helped: something else is wrong, and the end of the day says what.
_LONGEST = 120.0


def slowness(started_in: float) -> float:
    """How many times slower than usual to play where everything needed ``started_in`` real seconds to start; 1 at the
    least."""
    return min(_SLOWEST, max(1.0, started_in / _QUICK_START))


class Pace:
    """The hand on the clock."""

    def __init__(self, held: ClockFile, shop: Shop, platform: Platform, slower: float) -> None:
        """``held`` stands; it will run so many times ``slower`` than it was made to."""
        self._clock, self._shop, self._platform, self.slower = held, shop, platform, slower
        self._rate = held.rate / slower
        self._since: float | None = None
        self._acts: dict[Future[None], float] = {}
        self._given_up = False
        #: Real seconds for which the clock has stood so far.
        self.stood = 0.0

    def look(self, acts: Sequence[Future[None]]) -> None:
        """Let the clock stand or go on, by how things are. ``acts``: what the shop is about."""
        present = time.monotonic()
        behind = self._is_behind(acts, present)
        if self._since is not None:
            if behind and present - self._since < _LONGEST:
                return
            self._given_up = behind
            self.go()
        elif behind and not self._given_up:
            self._since = present
            self._clock.stand(clock.machine())

    def go(self) -> None:
        """Let the clock run, whatever waits."""
        if self._since is not None:
            self.stood += time.monotonic() - self._since
            self._since = None
        self._clock.go(clock.machine(), self._rate)

    def _is_behind(self, acts: Sequence[Future[None]], present: float) -> bool:
        self._acts = {act: self._acts.get(act, present) for act in acts if not act.done()}
        if any(present - since > _ACT for since in self._acts.values()):
            return True
        events = self._platform.get("/status")
        if events["events_sent"] - events["events_delivered"] - events["events_failed"] > _EVENTS:
            return True
        ages = self._shop.gauges()
        beats = [ages.get("duly_beat_age_seconds", {}).get(task, 0.0) for task in _TASKS]
        oldest = ages.get("duly_due_oldest_seconds", {}).values()
        return max(beats) > _SILENT * self._clock.rate or max(oldest, default=0.0) > _DUE * self._clock.rate
