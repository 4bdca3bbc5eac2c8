"""A kill switch against batches that decide at the same moment, in two sessions on a real database."""

from __future__ import annotations

import threading

from sqlmodel import Session

from scheduler.governance.switches import Scope, engage
from scheduler.outbox.begin import begin
from scheduler.store import database
from tests.patience import patience
from tests.unit.delivery.stage import NOON, Stage


def test_once_a_switch_answers_nothing_is_begun(session: Session) -> None:
    stage = Stage(session)
    stage.messages(12)
    stage.commit()
    with Session(database.engine()) as deciding:
        begun = begin(deciding, "promotional", {stage.page: 2}, NOON, limit=2)
        assert len(begun) == 2
        answered = threading.Event()

        def switch() -> None:
            with database.session() as other:
                engage(other, Scope(page_id=stage.page), actor="test", why="a wrong price", now=NOON)
            answered.set()

        switching = threading.Thread(target=switch)
        switching.start()
        # It waits for the batch that is being decided: what that begins is begun before the switch answers.
        assert not answered.wait(0.3)
        deciding.commit()
    switching.join(patience(10))
    assert answered.is_set()
    with database.session() as deciding:
        assert begin(deciding, "promotional", {stage.page: 10}, NOON) == []
    stage.session.rollback()
    assert stage.states() == {"sending": 2, "scheduled": 10}
    parked = stage.row("SELECT count(*) AS n FROM message WHERE due_at IS NULL AND wakes_on = 'resume'")
    assert parked.n == 10
