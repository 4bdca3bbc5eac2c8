"""The main job end to end: processes, ports, webhooks, workers, and the witness as judge."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from scheduler.demo.report import Expectation
from scheduler.demo.run import Options, run


@pytest.mark.timeout(120)
def test_twelve_virtual_hours_pass_the_witness_though_the_worker_is_killed(
    set_environment: Callable[..., None],
) -> None:
    set_environment(DULY_DATABASE_URL=None, DULY_REDIS_URL=None)
    told = io.StringIO()
    outcome = run(
        Options(
            hours=12,
            seconds=32,
            people=300,
            plain=True,
            kill_worker=True,
            expectation=Expectation(
                requests=60,
                sent_share=0.1,
                denied=("opted_out",),
                deferred=("quiet_hours",),
                utility_requests=20,
                examples=False,
            ),
        ),
        Console(file=told, width=200),
    )
    states = outcome.summary["states"]
    assert outcome.failures == [], told.getvalue()
    assert outcome.verdict["violations"] == []
    # Nothing is lost: what has not ended waits for its time, and nothing hangs in between.
    assert not {state: count for state, count in states.items() if state in ("due", "sending", "in_doubt", "dead")}
    assert "the worker" in told.getvalue()
    assert "SIGKILL" in told.getvalue()
