"""Somebody keeps a contact locked: webhooks about other people are not held up by it, and nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from psycopg.errors import DeadlockDetected, LockNotAvailable, UniqueViolation
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from scheduler import clock
from scheduler.api.webhook_alone import Alone
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import ensure_contacts
from scheduler.store import database
from tests.patience import patience

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def test_one_locked_contact_holds_up_nobody_else(page: Any, deliver: Any, say: Any, row: Any, eventually: Any) -> None:
    with Session(database.engine()) as session, ThreadPoolExecutor(16) as pool:
        people = ensure_contacts(session, page.id, ["1"], clock.now())
        session.commit()
        lock_contacts(session, [people["1"]])
        try:
            held_up = [pool.submit(deliver, say("1"), say(f"with-1-{number}")) for number in range(8)]
            eventually(lambda: row(_WAITING)[0] >= 4, what="requests about the locked contact wait alone")
            others = [pool.submit(deliver, say(str(psid))) for psid in range(2, 8)]
            others.append(pool.submit(deliver, say("8", "STOP")))
            assert [each.result(timeout=patience(25)).status_code for each in others] == [200] * 7
            # Long before those about the locked contact, which wait for it, half a minute at the most.
            assert not any(each.done() for each in held_up)
            assert row("SELECT count(*) FROM platform_event")[0] == 7
        finally:
            session.commit()
        assert [each.result(timeout=patience(25)).status_code for each in held_up] == [200] * 8
    assert row("SELECT count(*), count(applied_at) FROM platform_event") == (23, 23)


class _Task:
    """Fails with these errors, one each time, and then is done."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.tries = list(errors), 0
        self.ended: Exception | None = None
        self.over = threading.Event()

    def __call__(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        self.over.set()

    def failed(self, error: Exception) -> None:
        self.ended = error
        self.over.set()


def _refused(error: Exception) -> OperationalError:
    return OperationalError("SELECT 1", {}, error)


@pytest.mark.parametrize(
    ("errors", "tries", "fails"),
    [
        ([], 1, False),
        ([LockNotAvailable()] * 5, 6, False),
        ([DeadlockDetected()] * 2, 3, False),
        ([DeadlockDetected()] * 3, 3, True),  # the victim three times
        ([UniqueViolation()], 1, True),  # nothing that passes
    ],
)
def test_what_passes_by_itself_is_tried_again(errors: list[Exception], tries: int, fails: bool) -> None:
    alone, task = Alone(), _Task(*map(_refused, errors))
    alone.put(task)
    assert task.over.wait(patience(10))
    alone.close()
    assert (task.tries, task.ended is not None) == (tries, fails)


def test_a_lock_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.api.webhook_alone._LONGEST", 0.05)
    alone, task = Alone(), _Task(*[_refused(LockNotAvailable())] * 1_000_000)
    alone.put(task)
    assert task.over.wait(patience(10))
    alone.close()
    assert task.ended is not None
    assert task.tries > 1


def test_what_was_tried_least_comes_first() -> None:
    alone = Alone()
    order: list[str] = []
    gate = threading.Event()

    class _Named(_Task):
        def __init__(self, name: str, *errors: Exception) -> None:
            super().__init__(*errors)
            self.name = name

        def __call__(self) -> None:
            gate.wait(patience(10))
            order.append(self.name)
            super().__call__()

    stuck = [_Named(f"stuck {number}", *[_refused(LockNotAvailable())] * 3) for number in range(4)]
    for task in stuck:
        alone.put(task)
    others = [_Named(f"other {number}") for number in range(8)]
    for task in others:
        alone.put(task)
    gate.set()
    assert all(task.over.wait(patience(10)) for task in (*stuck, *others))
    alone.close()
    # By the time that anything is tried a second time the others were all taken.
    second = min(place for place, name in enumerate(order) if name in order[:place])
    assert {name for name in order[: second + 4] if name.startswith("other")} == {task.name for task in others}
