"""The tasks. Each is short: open a transaction, call the verb, ring for what follows. None carries ids."""

from __future__ import annotations

import time

from scheduler import clock, crash_points
from scheduler.campaigns.planning import plan_next
from scheduler.doorbell import ring
from scheduler.followups.planning import plan_next_event
from scheduler.inbox.web_processes import tell_silent_webs
from scheduler.lineage.watch import watch
from scheduler.logs import get_logger
from scheduler.outbox.anew import work_off
from scheduler.outbox.beat import record_beat
from scheduler.outbox.overdue import decide_overdue
from scheduler.outbox.states import LANES
from scheduler.outbox.sweep import sweep as sweep_outbox
from scheduler.outbox.tick import LIMIT as TICK_LIMIT
from scheduler.outbox.tick import due_lanes
from scheduler.outbox.tick import tick as tick_outbox
from scheduler.pages.deaf import tell_deaf_pages
from scheduler.privacy.erasure import finish_erasures
from scheduler.privacy.retention import prune
from scheduler.settings import get_settings
from scheduler.store import database
from workers.app import PERIODS, app
from workers.channel import open_channel
from workers.clocks import clock_is_right
from workers.deliver import Delivery
from workers.imports import import_a_while
from workers.profiles import read_profiles as read_wanted_profiles
from workers.stopped_pages import look_at_stopped_pages
from workers.turns import turns

_log = get_logger(__name__)

#: Real seconds that one plan task plans chunks; what is left over is planned by the next.
_PLAN_SLICE = 2.0
_PLAN_CHUNK = 2_000
#: Where the turn to plan stands, behind all those to deliver.
_PLANNING = 1_000
#: Where the turn to import stands, and the turn to let go of what is old.
_IMPORTING = _PLANNING + 1
_RETAINING = _PLANNING + 2
#: Where the turn to wake stands.
_WAKING = _PLANNING + 3
#: Real seconds that one task wakes what waits.
_WAKE_SLICE = 1.0
#: Real seconds that one task lets go of what is old: deliveries come first.
_RETAIN_SLICE = 1.0


@app.task(name="periodic")
def periodic(name: str) -> None:
    """Run what beat asks for, once in its period here, however many times it was asked for meanwhile.

    All of them look at the whole table, so one late run does the work of ten. Nothing runs where the clock is wrong.
    """
    place = list(PERIODS).index(name)
    if turns.again(place, PERIODS[name] / 2, time.monotonic()) and clock_is_right():
        app.tasks[name]()


@app.task(name="tick")
def tick() -> int:
    """Move what is due, and ring for the lanes in which something waits. Returns how many became due."""
    moved = 0
    while True:
        with database.session() as session:
            found = sum(tick_outbox(session, clock.now()).values())
            crash_points.reach("tick.before_commit")
        crash_points.reach("tick.after_commit")
        moved += found
        if found < TICK_LIMIT:
            break
    with database.session() as session:
        record_beat(session, "tick", clock.now())
        waiting = due_lanes(session)
    if waiting:
        ring("deliver")
    return moved


@app.task(name="plan")
def plan() -> int:
    """Plan launched campaigns and business events, chunk by chunk. Returns how many chunks.

    One child plans at a time: a flood of events rings many times over, and must not take every child from the others.
    """
    with turns.one_of(1, first=_PLANNING) as mine:
        # A restored database may not know whom it has planned for already.
        if not mine or not _database_is_whole():
            return 0
        chunks, again = _plan_a_while()
    with database.session() as session:
        record_beat(session, "plan", clock.now())
    if chunks:
        # What may go now is due now. Where children are busy planning, beat's own tick may wait until it is stale.
        tick()
    if again:
        ring("plan")
    return chunks


def _database_is_whole() -> bool:
    with database.session() as session:
        return watch().may_send(session, clock.now())


def _plan_a_while() -> tuple[int, bool]:
    """(chunks planned, whether there is more to plan)."""
    started, chunks = time.monotonic(), 0
    again = True
    while again and time.monotonic() - started < _PLAN_SLICE and not turns.draining:
        with database.session() as session:
            again = plan_next_event(session, clock.now(), _PLAN_CHUNK)
        with database.session() as session:
            again = plan_next(session, clock.now(), _PLAN_CHUNK) or again
            crash_points.reach("plan.before_commit")
        crash_points.reach("plan.after_commit")
        chunks += again
    return chunks, again


@app.task(name="wake")
def wake() -> int:
    """Go on with orders to decide waiting messages anew, a second at a time, one child. Returns how many were woken."""
    started, woken = time.monotonic(), 0
    with turns.one_of(1, first=_WAKING) as mine:
        while mine and not turns.draining and time.monotonic() - started < _WAKE_SLICE:
            with database.session() as session:
                worked = work_off(session, clock.now())
                crash_points.reach("wake.before_commit")
            crash_points.reach("wake.after_commit")
            woken += worked.woken
            if not worked.found:
                break
        if not mine:
            return 0
    with database.session() as session:
        record_beat(session, "wake", clock.now())
    if woken:
        ring("deliver")
    return woken


@app.task(name="deliver")
def deliver(lane: str) -> int:
    """Deliver what is due, ``lane`` first. Returns how many messages were accepted.

    At most one child fewer than the worker has delivers at a time: tick, plan and sweep never wait behind deliveries.
    A ring that finds no turn left has nothing to add to those that run.
    """
    if lane not in LANES:
        raise ValueError(f"`{lane}` is not a lane; take one of {', '.join(LANES)}")
    with turns.one_of(max(1, get_settings().worker_children - 1)) as mine:
        if not mine or turns.draining or not clock_is_right():
            return 0
        sent = Delivery(lane, open_channel(), stopping=lambda: turns.draining).run()
    if sent:
        _log.info("delivered", lane=lane, accepted=sent)
    return sent


@app.task(name="sweep")
def sweep() -> dict[str, int]:
    """Put attempts that nobody will settle into doubt, end doubts that waited too long, decide what is overdue."""
    with database.session() as session:
        swept = sweep_outbox(session, clock.now())
        crash_points.reach("sweep.before_commit")
    crash_points.reach("sweep.after_commit")
    with database.session() as session:
        swept["overdue"] = decide_overdue(session, clock.now())
    with database.session() as session:
        tell_deaf_pages(session, clock.now())
        tell_silent_webs(session)
        record_beat(session, "sweep", clock.now())
    if any(swept.values()):
        _log.warning("swept", **swept)
    return swept


@app.task(name="read_profiles")
def read_profiles() -> int:
    """Read the profiles that are wanted. Returns how many were claimed."""
    claimed = read_wanted_profiles(open_channel())
    with database.session() as session:
        record_beat(session, "read_profiles", clock.now())
    return claimed


@app.task(name="probe")
def probe() -> int:
    """Look whether pages that the platform refused work again. Returns how many were restored."""
    restored = look_at_stopped_pages(open_channel())
    with database.session() as session:
        record_beat(session, "probe", clock.now())
    if restored:
        ring("deliver")
    return restored


@app.task(name="import")
def import_contacts() -> int:
    """Go on with imports of contacts, a second at a time, one child. Returns how many transactions."""
    with turns.one_of(1, first=_IMPORTING) as mine:
        if not mine:
            return 0
        chunks, again = import_a_while(lambda: turns.draining)
    with database.session() as session:
        record_beat(session, "import", clock.now())
    if chunks:
        # Whose messages were woken waits no longer.
        ring("deliver")
    if again:
        ring("import")
    return chunks


@app.task(name="retain")
def retain() -> int:
    """Let go of what is older than its time, and finish erasures; one child, a second. Returns how many rows."""
    started, gone = time.monotonic(), 0
    with turns.one_of(1, first=_RETAINING) as mine:
        while mine and not turns.draining:
            with database.session() as session:
                pruned = prune(session, clock.now())
            gone += sum(pruned.rows.values())
            if not pruned.more or time.monotonic() - started > _RETAIN_SLICE:
                break
        if not mine:
            return 0
        with database.session() as session:
            finished = finish_erasures(session, clock.now())
    with database.session() as session:
        record_beat(session, "retain", clock.now())
    if gone or finished:
        _log.info("retained", pruned=gone, erasures_finished=finished)
    return gone
