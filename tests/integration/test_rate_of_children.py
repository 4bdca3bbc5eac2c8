"""A page's rate when a whole worker works for it: what left for the platform, second by second."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.doorbell import producer
from tests.integration.test_worker import Worker
from tests.integration.town import Town

PEOPLE, EACH = 40, 6


@pytest.mark.timeout(300)
def test_a_page_with_a_deep_backlog_gets_its_rate_and_no_more_from_all_children_together(
    town: Town, tmp_path: Path, redis_url: str, eventually: Callable[..., None]
) -> None:
    """The default rate, three children that deliver with sixteen threads each, eight seconds of work at full rate.

    Seconds are counted where the first byte is about to leave: a sandbox that had to wait for its processor sees in one
    second what left in two.
    """
    departures = tmp_path / "departures"
    town.stage.one("UPDATE page SET rate = 30 WHERE id = :id RETURNING id", id=town.page_id)
    contacts = [town.contact(town.person()) for _ in range(PEOPLE)]
    for contact in contacts:
        for number in range(EACH):
            town.stage.message(contact, category="promotional" if number % 2 else "utility")
    town.stage.commit()
    worker = Worker(
        tmp_path / "worker.log",
        {
            "DULY_GRAPH_URL": town.url,
            "DULY_WORKER_CHILDREN": "4",
            "DULY_SENDER_THREADS": "16",
            "WATCHED_DEPARTURES": str(departures),
        },
        app="tests.integration.watched_worker",
    )
    rung_at = float("-inf")

    def delivered() -> bool:
        nonlocal rung_at
        town.stage.commit()
        if time.monotonic() - rung_at >= 1.0:
            ring()
            rung_at = time.monotonic()
        return set(town.stage.states()) <= {"sent", "delivered", "read"}

    def ring() -> None:
        # What beat does, once a second: each slice of four seconds is rung for again, for every child.
        for lane in ("utility", "promotional", "utility"):
            producer(redis_url).send_task("deliver", args=[lane], expires=1)
        producer(redis_url).send_task("tick", expires=1)

    try:
        eventually(delivered, seconds=200, what="everything being sent")
    finally:
        worker.close()
    left = sorted(map(float, departures.read_text().split()))
    assert len(left) == _requests(tmp_path / "sandbox.jsonl") == PEOPLE * EACH
    worst = max(bisect_left(left, first + 1.0) - place for place, first in enumerate(left))
    assert worst <= 40


def _requests(log: Path) -> int:
    """How many requests to send the platform received."""
    return sum(json.loads(line)["kind"] == "request" for line in log.read_text().splitlines())
