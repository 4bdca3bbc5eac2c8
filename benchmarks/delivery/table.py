"""What begin and settle cost, whatever else the tables hold: rows that left long ago, rows that are due much later."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from benchmarks.delivery import machine
from benchmarks.delivery.stage import NOON, Stage
from scheduler import clock
from scheduler.outbox.begin import BATCH, begin
from scheduler.outbox.settle import Outcome, settle
from scheduler.store import database

_BATCHES = 60
_LATER = NOON + 30 * 86_400
BACKLOG = 50_000


def measure(stage: Stage, sizes: list[int], *, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds of processor (ours and the database's) a message, at each number of rows that have left."""
    stage.add_pages(60)
    found: dict[str, Any] = {}
    held = 0
    for size in sizes:
        _fill(stage, size - held)
        held = size
        stage.settle_down()
        _cost(stage, stage.pages)  # warm
        found[str(size)] = statistics.median(_cost(stage, stage.pages) for _ in range(rounds))
        say(f"  {size} rows: {found[str(size)]:.0f} µs a message")
    one = stage.pages[:4]
    without = statistics.median(_cost(stage, one) for _ in range(rounds))
    for page in one:
        _backlog(stage, page)
    stage.settle_down()
    _cost(stage, one)
    with_it = statistics.median(_cost(stage, one) for _ in range(rounds))
    say(
        f"  four pages without a backlog: {without:.0f} µs a message; with {BACKLOG} future rows each: {with_it:.0f} µs"
    )
    return {
        "cpu_us_a_message_at_rows": found,
        "times": [round(found[str(b)] / found[str(a)], 2) for a, b in itertools.pairwise(sizes)],
        "backlog_rows_a_page": BACKLOG, "without_backlog_us": without, "with_backlog_us": with_it,
        "backlog_times": round(with_it / without, 2),
    }  # fmt: skip


def _fill(stage: Stage, count: int) -> None:
    """``count`` messages that were sent ten days ago, each with its attempt and its log, to people of their own."""
    if count <= 0:
        return
    first = int(stage.query("SELECT coalesce(max(id), 0) FROM contact")[0][0])
    stage.add_contacts(count)
    stage.add_messages(count, state="sent", due_at=NOON - 10 * 86_400, after=first)
    stage.query(
        """
        INSERT INTO attempt (message_id, contact_id, page_id, category, ground, begun_at, outcome, settled_at, mid)
        SELECT id, contact_id, page_id, category, 'standard_window', %s, 'sent', %s, 'm_' || id FROM message
        WHERE contact_id > %s AND state = 'sent'
        """,
        NOON - 10 * 86_400, NOON - 10 * 86_400, first,
    )  # fmt: skip
    stage.query(
        """
        INSERT INTO message_log (message_id, at, from_state, to_state, actor)
        SELECT id, %s, 'sending', 'sent', 'deliver' FROM message WHERE contact_id > %s AND state = 'sent'
        """,
        NOON - 10 * 86_400, first,
    )  # fmt: skip


def _backlog(stage: Stage, page: int) -> None:
    first = int(stage.query("SELECT coalesce(max(id), 0) FROM contact")[0][0])
    stage.add_contacts(BACKLOG, pages=[page])
    stage.add_messages(BACKLOG, state="scheduled", due_at=_LATER, after=first)


def _cost(stage: Stage, pages: list[int]) -> float:
    """One run over fresh due messages of these pages."""
    count = (_BATCHES + 4) * BATCH
    first = int(stage.query("SELECT coalesce(max(id), 0) FROM contact")[0][0])
    stage.add_contacts(count, pages=pages)
    stage.add_messages(count, after=first)
    quotas = dict.fromkeys(pages, 10)
    with database.session() as session:
        server = int(session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one())
    done = 0
    began, theirs = time.process_time(), machine.cpu_seconds(server)
    for _ in range(_BATCHES):
        with database.session() as session:
            batch = begin(session, "promotional", quotas, clock.now())
        with database.session() as session:
            settle(
                session,
                [
                    Outcome(
                        message_id=each.message_id, attempt_id=each.attempt_id, contact_id=each.contact_id,
                        page_id=each.page_id, result="sent", http_status=200, mid=f"m_{each.attempt_id}",
                    )
                    for each in batch
                ],
                clock.now(),
            )  # fmt: skip
        done += len(batch)
    spent = time.process_time() - began + machine.cpu_seconds(server) - theirs
    stage.query("DELETE FROM message_log WHERE message_id IN (SELECT id FROM message WHERE state = 'due')")
    stage.query("UPDATE message SET state = 'cancelled' WHERE state = 'due'")
    if not done:
        raise RuntimeError(f"nothing was begun: {stage.told()} {os.getloadavg()}")
    return spent / done * 1e6
