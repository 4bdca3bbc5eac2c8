from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from scheduler.store import database
from workers import tasks  # noqa: F401 - registers them
from workers.app import app


@pytest.mark.usefixtures("redis_url")
def test_a_database_that_is_away_is_one_line_a_minute_and_no_traceback(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    with capture_logs() as said:
        for _ in range(3):
            for name in ("tick", "sweep", "plan", "wake", "retain"):
                assert app.tasks[name]() is None
    database.dispose()
    assert [(line["event"], line["log_level"], "exc_info" in line) for line in said] == [
        ("database_unavailable", "error", False)
    ]
