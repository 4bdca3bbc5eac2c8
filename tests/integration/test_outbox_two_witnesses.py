"""Answers and echoes of the same messages at the same moment: both are taken in, neither waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.inbox.intake import receive
from scheduler.outbox.begin import Begun, begin
from scheduler.store import database
from tests.patience import patience
from tests.unit.delivery.stage import NOON, Stage


def _echo(begun: Begun) -> dict[str, Any]:
    return {
        "sender": {"id": "1001"},
        "recipient": {"id": begun.psid},
        "timestamp": NOON * 1000 + begun.message_id,
        "message": {"mid": f"m_{begun.message_id}", "is_echo": True, "metadata": begun.metadata},
    }


def test_echoes_in_any_order_lock_messages_in_the_order_of_those_who_settle(
    session: Session, eventually: Callable[..., None]
) -> None:
    stage = Stage(session)
    stage.messages(2)
    first, second = sorted(begin(session, "promotional", {stage.page: 10}, NOON), key=lambda begun: begun.message_id)
    stage.commit()
    app = int(stage.one("SELECT id FROM app"))
    later = _echo(first) | {"timestamp": NOON * 1000 + 999_999}
    body = {"object": "page", "entry": [{"id": "1001", "messaging": [_echo(second), later]}]}
    found: list[Any] = []

    def hear() -> None:
        with database.session() as hearing:
            found.append(receive(hearing, app, body, NOON + 1))

    def waiting() -> bool:
        with Session(database.engine()) as looking:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(looking.execute(text(waits)).scalar_one())

    # Whoever settles has the first message and is about to take the second.
    lock = text("SELECT id FROM message WHERE id = :id FOR NO KEY UPDATE NOWAIT")
    session.execute(lock, {"id": first.message_id})
    thread = threading.Thread(target=hear)
    thread.start()
    eventually(waiting, what="the webhook waiting for the first message")
    session.execute(lock, {"id": second.message_id})
    stage.commit()
    thread.join(patience(10))
    assert (found[0].new, found[0].failed) == (2, 0)
    assert stage.states() == {"sent": 2}
