"""Runs the demo: starts the stack on a fast clock, plays the shop's part, watches, stops, reports."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from scheduler import clock
from scheduler.clock_file import ClockFile
from scheduler.demo import report, story
from scheduler.demo.pace import Pace, slowness
from scheduler.demo.shop import Platform, Shop
from scheduler.demo.view import View
from scheduler.settings import get_settings
from scheduler.store.process import wait_until
from scheduler.supervise.first_key import first_key
from scheduler.supervise.folder_lock import FolderLock
from scheduler.supervise.stack import SandboxOptions, Stack

#: Noon UTC on the day before North America's clocks go forward (2026-03-08, 02:00 local).
START = 1_772_884_800
#: The instants at which the first (St John's) and the last (Alaska's west) of its zones change.
TRANSITION = (1_772_946_000, 1_772_971_200)
#: Real seconds between two looks.
_LOOK_EVERY = 0.5
#: Real seconds for what is under way at the end to settle, on a machine that is not slow.
_SETTLING = 45.0


@dataclass(slots=True, kw_only=True)
class Options:
    """One run. ``hours`` are virtual, ``seconds`` real on a quick machine: their ratio is the clock's rate there."""

    hours: float = 36.0
    seconds: float = 105.0
    people: int = 500
    seed: int = 7
    plain: bool = False
    #: Kill the worker with SIGKILL in the middle, as a machine would.
    kill_worker: bool = False
    #: Real milliseconds that a message is on its way to the platform.
    latency: int = 0
    #: Where the sandbox's log is kept for the witness after the run; else it goes with the rest.
    keep_log: Path | None = None
    expectation: report.Expectation | None = None


def run(options: Options, console: Console) -> report.Report:
    """Play the whole story and return its report. The caller decides what a failure is worth.

    Raises AlreadyRunning when another demo runs in this folder.
    """
    data_dir = get_settings().data_dir / "demo"
    _empty(data_dir)
    length = int(options.hours * 3600)
    began = time.monotonic()
    held = ClockFile.make(data_dir / "clock", START, length / options.seconds)
    environment = {
        "DULY_CLOCK_FILE": str(data_dir / "clock"),
        # An attempt whose worker was killed must be settled before the run ends.
        "DULY_DOUBT_WAIT": "8",
    }
    starting = (
        f"Starting PostgreSQL, Redis, the sandbox, web, worker and beat; then {options.hours:g} virtual hours "
        f"in {options.seconds:g} seconds …"
    )
    if not console.is_terminal:
        console.print(starting, soft_wrap=True)
    with ExitStack() as running:
        with console.status(starting) as status:
            stack = running.enter_context(
                Stack(
                    data_dir=data_dir,
                    port=0,
                    environment=environment,
                    sandbox=SandboxOptions(seed=options.seed, people=options.people, latency=options.latency),
                    embedded=True,
                    durable=False,
                    throwaway=True,
                )
            )
            if options.keep_log is not None:
                running.callback(_keep, stack.sandbox_log, options.keep_log)
            key, _path = first_key(data_dir)
            shop, platform = Shop(stack.web_url, key), Platform(stack.sandbox_url or "")
            running.callback(shop.close)
            running.callback(platform.close)
            cast = story.Cast(shop=shop, platform=platform)
            slower = slowness(time.monotonic() - began)
            status.update("Opening the shop: pages, templates and customer records …")
            story.open_shop(cast)
        if slower > 1.0:
            seconds = options.seconds * slower
            console.print(f"This machine starts programs slowly: the play takes {seconds:.0f} seconds.", soft_wrap=True)
        pace = Pace(held, shop, platform, slower)
        outcome, previews = _play(options, console, stack, cast, length, pace)
    report.show(console, outcome, previews)
    return outcome


def _empty(data_dir: Path) -> None:
    """Each demo begins with nothing. Raises AlreadyRunning rather than pull a folder from under a running one."""
    lock = FolderLock(data_dir)
    lock.acquire()
    lock.release()
    shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True)


def _play(
    options: Options, console: Console, stack: Stack, cast: story.Cast, length: int, pace: Pace
) -> tuple[report.Report, list[dict[str, Any]]]:
    steps = story.plot(length, len(cast.records))
    end = START + length
    with View(console, length=length, plain=options.plain) as view, ThreadPoolExecutor(max_workers=1) as hands:
        cast.platform.play()
        pace.go()
        began = time.monotonic()
        view.say(clock.now_exact(), f"{len(cast.records)} customer records are loaded; people begin to write")
        acts: list[Future[None]] = []
        kill_at = START + length // 2 if options.kill_worker else None
        while (instant := clock.now_exact()) < end:
            while steps and instant >= START + steps[0].at:
                step = steps.pop(0)
                view.say(instant, step.words)
                acts.append(hands.submit(step.act, cast))
            if kill_at is not None and instant >= kill_at:
                kill_at = None
                pid = stack.processes["worker"]
                os.kill(pid, signal.SIGKILL)
                view.say(instant, f"the worker (process {pid}) is killed with SIGKILL")
            for act in acts:
                if act.done():
                    act.result()
            pace.look(acts)
            view.show(time.monotonic() - began, instant, START, cast.shop.summary(), cast.platform.get("/status"))
            # Not a wait for something: how often a person wants to see a new picture.
            threading.Event().wait(_LOOK_EVERY)
        pace.go()
        for act in acts:
            act.result()
        deferred = cast.shop.summary()["deferred"]
        if pace.stood >= 1.0:
            view.say(
                clock.now_exact(),
                f"the clock stood for {pace.stood:.0f} seconds in all, until this machine had caught up",
            )
        view.say(clock.now_exact(), "the day is over: the kill switch stops new sends, what is under way settles")
        cast.shop.call("POST", "/kill-switch", {"why": "end of the demo"})
        summary = {**_settled(cast.shop, _SETTLING * pace.slower), "deferred": deferred}
    if options.kill_worker and not stack.restarts.get("worker"):
        raise RuntimeError("the killed worker was not restarted")
    expectation = options.expectation or report.FULL
    outcome = report.judge(
        summary,
        cast.platform.get("/verdict"),
        expectation,
        waited=report.find_waited(cast.shop, cast.campaigns, TRANSITION) if expectation.examples else None,
        closed=report.find_closed(cast.shop) if expectation.examples else None,
    )
    return outcome, cast.previews


def _keep(log: Path, place: Path) -> None:
    if log.exists():
        shutil.copyfile(log, place)


def _settled(shop: Shop, seconds: float) -> dict[str, Any]:
    """The summary of an instant at which nothing is between two states, or the last one looked at.

    People go on writing, which wakes what waits for them: the instant after may look different again.
    """
    seen: dict[str, Any] = {}

    def still() -> bool:
        seen.update(shop.summary())
        return not any(seen["states"].get(state) for state in ("due", "sending", "in_doubt"))

    wait_until(still, seconds=seconds)
    return seen
