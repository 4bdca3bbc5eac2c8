"""The database breaks off again and again while webhooks come: what was acknowledged is there, and it goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.store import database

_KILL = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def test_what_was_acknowledged_is_there_and_nobody_waits_for_ever(
    page: Any, deliver: Any, say: Any, database_url: str
) -> None:
    now, over, killed = clock.now(), threading.Event(), 0
    answers: dict[str, int] = {}

    def kill() -> None:
        nonlocal killed
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.wait(0.03):
                row = connection.execute(_KILL).fetchone()
                killed += row[0] if row is not None else 0

    def send(number: int) -> None:
        said = say(f"p{number % 20}", "hello", at=now - 100 + number % 50)
        said["message"]["mid"] = f"m{number}"
        answers[f"m{number}"] = deliver(said).status_code

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(200)))
    finally:
        over.set()
        killer.join()
    assert killed > 0
    assert set(answers.values()) <= {200, 503}
    with Session(database.engine()) as session:
        rows = session.execute(text("SELECT body -> 'message' ->> 'mid' FROM platform_event"))
        assert {mid for mid, code in answers.items() if code == 200} <= set(rows.scalars())
    # The platform delivers again.
    for number in range(200):
        send(number)
    assert set(answers.values()) == {200}
