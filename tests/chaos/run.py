"""One run of one seed: load, faults, rest, recoveries, judgement."""

from __future__ import annotations

import heapq
import itertools
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scheduler import clock
from scheduler.supervise.stack import SandboxOptions
from tests.chaos import recovery
from tests.chaos.city import City, wait
from tests.chaos.faults import Hands, Step, script, squall
from tests.chaos.judge import UNCONFIRMED_SHARE, Doubts, Judgement, judge
from tests.chaos.ledger import read_ledger
from tests.chaos.load import CAP, RATE, START, Load
from tests.patience import patience

#: Real seconds of DULY_DOUBT_WAIT: 15 minutes would keep every run waiting for them.
DOUBT_WAIT = 20
#: How webhooks travel while things go wrong.
_WEATHER = {"repeated": 0.1, "copies": 5, "late": 0.15, "latest": 8.0, "lost": 0.01}

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Options:
    """What one run is made of. Seconds are real."""

    seed: int
    people: int
    seconds: float
    kills: int
    opt_outs: int
    #: Utility messages while things go wrong.
    orders: int
    page_rate: int = 12
    #: How long a worker is stopped.
    stop: float = 60.0
    #: How often each part is lost when recovery is measured; 0 leaves that out.
    recoveries: int = 0
    faults: bool = True
    #: The directed storm instead of the seeded one.
    squall: bool = False
    doubt_wait: int = DOUBT_WAIT
    #: How many of the messages that were begun may end unconfirmed.
    unconfirmed_share: float = UNCONFIRMED_SHARE


@dataclass(slots=True)
class Outcome:
    """What a run showed."""

    options: Options
    judgement: Judgement
    kills: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)
    #: Lines of the product's own logs that a person should look at.
    complaints: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """Why it did not pass; empty when it did."""
        return self.judgement.failures

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "options": asdict(self.options),
            "passed": not self.failures,
            "failures": self.failures,
            "kills": self.kills,
            "faults": self.faults,
            "restarts": self.restarts,
            "recoveries": self.recoveries,
            "took": self.took,
            "complaints": self.complaints,
            **self.judgement.figures,
        }


def run(options: Options, say: Say, *, keep: Path | None = None) -> Outcome:
    """Play it and judge it. ``keep``: a folder for the witness's log and the product's own."""
    with tempfile.TemporaryDirectory(prefix="duly-chaos-") as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        environment = {
            "DULY_CLOCK_START": datetime.fromtimestamp(START, UTC).isoformat(),
            "DULY_CLOCK_RATE": repr(RATE),
            "DULY_CLOCK_ORIGIN": repr(clock.now_exact() + 10),
            "DULY_DOUBT_WAIT": str(options.doubt_wait),
        }
        sandbox = SandboxOptions(seed=options.seed, people=0, script="none", fsync=False)
        with City(data_dir, environment, sandbox=sandbox) as city:
            try:
                return _Run(options, city, say).play()
            finally:
                if keep is not None:
                    _keep(city, keep)


class _Run:
    def __init__(self, options: Options, city: City, say: Say) -> None:
        self._options, self._city, self._say = options, city, say
        self._hands = Hands(city, random.Random(f"{options.seed}:hands"))
        self._load = Load(city, options.seed, options.page_rate)
        self._began = time.monotonic()
        self._log: list[str] = []
        self._trouble: list[BaseException] = []
        self._took: dict[str, float] = {}

    def play(self) -> Outcome:
        options, city = self._options, self._city
        self._tell(f"seed {options.seed}: everything runs; {options.people} people are loaded")
        with _timed(self._took, "loading"):
            self._load.open(options.people)
            if not options.squall:
                city.start_spare("spare")
        kinds: Counter[str] = Counter()
        with _timed(self._took, "faults"):
            self._storm(kinds)
        with _timed(self._took, "coming to rest"):
            self._rest()
        recoveries: dict[str, list[float]] = {}
        if options.recoveries:
            with _timed(self._took, "recoveries"):
                city.end_spare("spare")
                recoveries = recovery.measure(
                    city, self._load, options.recoveries, self._tell, note=self._hands.note_sending
                )
                self._rest()
        # The log first: an echo that is acknowledged in between must not look as if it had been ignored.
        log = city.stack.data_dir / "judged.jsonl"
        shutil.copy(city.stack.sandbox_log, log)
        ledger = read_ledger(city.stack.database_url)
        doubts = Doubts(
            at_kills=self._hands.sending, faults=options.faults or bool(recoveries), share=options.unconfirmed_share
        )
        found = judge(log, ledger, doubts, cap=CAP, wanted=self._load.told)
        restarts = city.restarts
        kills = dict(self._hands.kills)
        for part, times in recoveries.items():
            if part != "postgres":
                kills[part] = kills.get(part, 0) + len(times)
        for failure in found.failures[:20]:
            self._tell(f"FAILED {failure}")
        return Outcome(
            options, found, kills, dict(kinds), restarts, recoveries, self._log, self._took, _complaints(city)
        )

    def _storm(self, kinds: Counter[str]) -> None:
        """The load and the faults, side by side, for the time given."""
        options, city = self._options, self._city
        begin = clock.now()
        # What the faults kept back still goes out while everything comes to rest.
        end = begin + int((options.seconds + max(15.0, 0.3 * options.seconds)) * RATE)
        campaigns = [self._load.draft(name, end) for name in ("first", "second", "third")]
        if options.faults and not options.squall:
            city.sandbox.call("PUT", "/weather", _WEATHER)
        over = threading.Event()
        waves = threading.Thread(target=self._guarded, args=(lambda: self._waves(campaigns, over),))
        orders = threading.Thread(target=self._guarded, args=(lambda: self._orders(over),))
        stops = threading.Thread(target=self._guarded, args=(lambda: self._stops(over),))
        threads = [waves, orders, stops]
        steps = self._script()
        order = itertools.count()
        waiting = [(at, next(order), step) for at, step in steps]
        heapq.heapify(waiting)
        began = looked = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            while waiting or time.monotonic() - began < options.seconds:
                present = time.monotonic() - began
                if waiting and waiting[0][0] <= present:
                    _at, _number, step = heapq.heappop(waiting)
                    kinds[step.kind] += 1
                    self._tell(step.words)
                    for pause, then in step.act(self._hands) or ():
                        heapq.heappush(waiting, (present + pause, next(order), then))
                elif time.monotonic() - looked > 10:
                    looked = time.monotonic()
                    self._tell(f"… {self._counts()}")
                else:
                    over.wait(0.05)
                if self._trouble:
                    raise self._trouble[0]
        finally:
            over.set()
            for thread in threads:
                thread.join(patience(90))
        if self._trouble:
            raise self._trouble[0]

    def _script(self) -> list[tuple[float, Step]]:
        options = self._options
        if options.squall:
            return squall()
        pages = [page["id"] for page in self._load.pages]
        return script(options.seed, options.seconds, options.kills, pages, stop=options.stop) if options.faults else []

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            self._trouble.append(error)

    def _waves(self, campaigns: list[list[int]], over: threading.Event) -> None:
        for number, campaign in enumerate(campaigns):
            self._tell(f"campaign {number + 1} is launched on {len(campaign)} pages")
            self._load.launch(campaign)
            over.wait(self._options.seconds / len(campaigns))

    def _orders(self, over: threading.Event) -> None:
        chance = random.Random(f"{self._options.seed}:orders")
        pause = self._options.seconds / max(1, self._options.orders)
        began = time.monotonic()
        for number in range(self._options.orders):
            over.wait(max(0.0, began + number * pause - time.monotonic()))
            self._load.ship(chance.choice(self._load.people))

    def _stops(self, over: threading.Event) -> None:
        """People whose message is about to go, or is going, say STOP at that very moment."""
        options, chance = self._options, random.Random(f"{self._options.seed}:stops")
        began = time.monotonic()
        while len(self._load.stopped) < options.opt_outs and not over.wait(0.2):
            passed = min(1.0, (time.monotonic() - began) / options.seconds)
            # More of them as time passes: the first campaigns need somebody to go to.
            wanted = int(options.opt_outs * passed**2) - len(self._load.stopped)
            if wanted <= 0:
                continue
            rows = self._city.query(
                """SELECT c.psid, m.state FROM message m JOIN contact c ON c.id = m.contact_id
                   WHERE m.state IN ('due', 'sending') ORDER BY m.state DESC, m.deadline, m.id LIMIT 200"""
            )
            about = [row[0] for row in rows if row[0] not in self._load.stopped]
            for psid in dict.fromkeys(about[: 2 * wanted] if about else []):
                if wanted <= 0:
                    break
                if chance.random() < 0.6:
                    wanted -= 1
                    self._load.stop(psid)
        for person in self._load.people:
            # Whoever is still to say it says it at the end: nobody is left out.
            if len(self._load.stopped) >= options.opt_outs:
                break
            if person.psid not in self._load.stopped:
                self._load.stop(person.psid)

    def _rest(self) -> None:
        """Nothing goes wrong any more; until every message has ended."""
        self._city.sandbox.call("POST", "/fault", {"kind": "none"})
        self._city.sandbox.call("PUT", "/weather", {})
        self._tell("all faults are over; everything comes to rest")

        def still() -> bool:
            counts = self._counts()
            if time.monotonic() - self._looked > 10:
                self._looked = time.monotonic()
                self._tell(f"… {counts}")
            return not any(counts.get(state) for state in ("scheduled", "due", "sending", "in_doubt"))

        self._looked = time.monotonic()
        # A stopped worker, a dropped plan or a dead sweep would show here: they get all the time they may ask for.
        wait(still, 240)
        if not self._options.squall:
            # Every echo was told or lost by now, or it is on its way: late evidence counts.
            wait(self._echoed, 60)

    def _echoed(self) -> bool:
        text = self._city.stack.sandbox_log.read_text()
        return text.count('"what":"echo"') >= text.count('"mid":"m_') - text.count('"kind":"told"')

    _looked = 0.0

    def _counts(self) -> dict[str, int]:
        rows = self._city.query("SELECT state, count(*) FROM message GROUP BY state ORDER BY 2 DESC")
        plans = self._city.query(
            """SELECT (SELECT count(*) FROM campaign WHERE status = 'planning')
                    + (SELECT count(*) FROM business_event WHERE planned_at IS NULL)"""
        )
        counts = {row[0]: row[1] for row in rows}
        return counts | ({"due": counts.get("due", 0) + plans[0][0]} if plans[0][0] else {})

    def _tell(self, words: str) -> None:
        line = f"{time.monotonic() - self._began:7.2f}  {words}"
        self._log.append(line)
        self._say(line)


class _timed:  # noqa: N801 - used as a statement
    def __init__(self, took: dict[str, float], name: str) -> None:
        self._took, self._name = took, name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._took[self._name] = round(time.monotonic() - self._began, 1)


def _complaints(city: City) -> dict[str, int]:
    words = (
        "Unrecoverable error",
        "settle_failed",
        "outcome_lost",
        "post_failed",
        "event_crashed",
        "process_not_restarted",
    )
    found = {
        f"{part}: {each}": city.log_has(part, each) for part in ("web", "worker", "spare", "beat") for each in words
    }
    return {name: count for name, count in found.items() if count}


def _keep(city: City, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if city.stack.sandbox_log.exists():
        shutil.copy(city.stack.sandbox_log, folder / "sandbox.jsonl")
    shutil.copytree(city.stack.data_dir / "logs", folder / "logs", dirs_exist_ok=True)
