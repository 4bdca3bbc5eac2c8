"""Many messages that one act wakes: a part at once, the rest by orders that are worked off in chunks."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from policies.policy import parse_policy
from scheduler.governance.policies import activate_policy
from scheduler.governance.switches import Scope, engage, release
from scheduler.outbox import wake
from scheduler.outbox.anew import work_off
from scheduler.outbox.begin import begin
from scheduler.outbox.ledger import faults
from scheduler.outbox.settle import Outcome, settle
from scheduler.outbox.wake import wake_contacts, wake_page, wake_parked
from scheduler.pages.stops import restore_page, stop_page
from tests.unit.delivery.stage import HOUR, NOON, Stage

#: Nothing goes on the day of these tests, a Tuesday.
CLOSED = parse_policy(
    '[policy]\nname = "closed"\nextends = "platform-only"\n[[permitted_hours]]\nid = "none"\ntue = []\n', where="closed"
)


@pytest.fixture
def stage(session: Session) -> Stage:
    return Stage(session)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages at once, three looked at."""
    for act in (wake.wake_page, wake.wake_parked):
        assert act.__kwdefaults__ is not None
        monkeypatch.setitem(act.__kwdefaults__, "limit", 2)
    assert wake.wake_chunk.__kwdefaults__ is not None
    monkeypatch.setitem(wake.wake_chunk.__kwdefaults__, "look", 3)


def _all(stage: Stage, limit: int | None = None) -> int:
    """Work off everything; how many chunks that took."""
    chunks = 0
    while work_off(stage.session, NOON, limit=limit).found:
        chunks += 1
        assert chunks < 100
    return chunks


def test_what_one_transaction_does_not_wake_is_worked_off(stage: Stage, small: None) -> None:
    other = stage.add_page()
    categories = ("promotional", "utility", "promotional", "promotional", "utility", "promotional")
    parked = [
        stage.message(stage.contact(), state="scheduled", due_at=None, wakes_on="resume", category=category)
        for category in categories
    ]
    theirs = stage.message(stage.contact(page=other), state="scheduled", due_at=None, wakes_on="resume")
    assert wake_parked(stage.session, NOON, page_id=stage.page, category="promotional") == 2
    assert [stage.state(one) for one in parked] == ["due", "scheduled", "due", *["scheduled"] * 3]
    assert _all(stage, limit=1) > 1
    assert [stage.state(one) for one in parked] == ["due", "scheduled", "due", "due", "scheduled", "due"]
    assert stage.state(theirs) == "scheduled"
    assert stage.one("SELECT count(*) FROM wake_order") == 0
    assert faults(stage.session) == []


def test_a_release_of_everything_leaves_an_order_for_each_page(stage: Stage, small: None) -> None:
    pages = [stage.page, stage.add_page(), stage.add_page()]
    switch = engage(stage.session, Scope(), actor="test", why="test", now=NOON)
    for page in pages:
        for _ in range(2):
            stage.message(stage.contact(page=page), state="scheduled", due_at=None, wakes_on="resume")
    release(stage.session, switch.id or 0, actor="test", now=NOON)
    assert stage.states() == {"due": 2, "scheduled": 4}
    assert [row.page_id for row in stage.rows("SELECT page_id FROM wake_order ORDER BY id")] == pages
    _all(stage)
    assert stage.states() == {"due": 6}


def test_a_new_policy_decides_a_long_queue_in_bulk(stage: Stage, small: None) -> None:
    """What may not go yet under the new policy never stands in the way of what may."""
    later = [stage.message(stage.contact(), state="scheduled", due_at=NOON + 5 * HOUR) for _ in range(5)]
    shut = stage.message(stage.contact(), state="scheduled", due_at=None, wakes_on="inbound", reason="window_closed")
    barred = stage.message(stage.contact(inbound=0), state="scheduled", due_at=NOON + 5 * HOUR, deadline=None)
    done = activate_policy(stage.session, stage.page, CLOSED, actor="ada", why="a holiday", now=NOON)
    assert done.woken == 2
    first, *rest = [stage.state(one) for one in later]
    assert (first, rest) == ("due", ["due", "scheduled", "scheduled", "scheduled"])
    assert _all(stage) >= 2
    rows = stage.rows("SELECT id, state, reason, due_at FROM message WHERE id = ANY(:ids) ORDER BY id", ids=later[2:])
    assert {tuple(row)[1:] for row in rows} == {("scheduled", "closed_day", NOON + 12 * HOUR)}
    assert stage.arrows(later[4])[-2:] == [("scheduled", "due"), ("due", "scheduled")]
    assert (stage.state(shut), stage.state(barred)) == ("scheduled", "denied")
    assert faults(stage.session) == []


def test_a_page_let_go_on_wakes_what_waited_for_that_alone(stage: Stage, small: None) -> None:
    stop_page(stage.session, stage.page, "bad_token", NOON)
    parked = [
        stage.message(stage.contact(), state="scheduled", due_at=None, wakes_on="page_restored", reason="page_stopped")
        for _ in range(3)
    ]
    later = stage.message(stage.contact(), state="scheduled", due_at=NOON + HOUR)
    paused = stage.message(stage.contact(), state="scheduled", due_at=None, wakes_on="resume")
    assert restore_page(stage.session, stage.page, now=NOON)
    assert [stage.state(one) for one in parked] == ["due", "due", "scheduled"]
    _all(stage)
    assert [stage.state(one) for one in (*parked, later, paused)] == ["due", "due", "due", "scheduled", "scheduled"]


def test_whoever_somebody_else_holds_is_left_to_dispatch(stage: Stage, small: None) -> None:
    """An order never waits for a contact: it holds messages already, and the order of locks is the other way round."""
    ids = [stage.message(stage.contact(), state="scheduled", due_at=NOON + 5 * HOUR) for _ in range(4)]
    activate_policy(stage.session, stage.page, CLOSED, actor="ada", why="a holiday", now=NOON)
    stage.commit()
    contact = stage.one("SELECT contact_id FROM message WHERE id = :id", id=ids[2])
    with Session(stage.session.get_bind()) as other:
        other.connection().exec_driver_sql(f"SELECT 1 FROM contact WHERE id = {contact} FOR NO KEY UPDATE")
        _all(stage)
        other.rollback()
    assert [stage.state(one) for one in ids] == ["due", "due", "due", "scheduled"]


def test_what_the_platform_holds_shut_stays_parked_whoever_wakes_it(stage: Stage) -> None:
    """Zone evidence, an opt-in, a handback: none of them opens the window."""
    contact = stage.contact()
    message = stage.message(contact)
    [begun] = begin(stage.session, "promotional", {stage.page: 10}, NOON)
    settle(
        stage.session,
        [
            Outcome(
                message_id=message, attempt_id=begun.attempt_id, contact_id=contact, page_id=stage.page,
                result="not_sent", reason="window_closed", effect="window_closed",
            )
        ],
        NOON,
    )  # fmt: skip
    row = "SELECT state, wakes_on, reason, due_at FROM message"
    parked = ("scheduled", "inbound", "window_closed", None)
    assert tuple(stage.row(row)) == parked
    for _ in range(2):
        assert wake_contacts(stage.session, [contact], NOON) == 1
        assert begin(stage.session, "promotional", {stage.page: 10}, NOON) == []
        assert tuple(stage.row(row)) == parked
    assert wake_page(stage.session, stage.page, NOON) == 0
    # Its end is its end.
    end = stage.one("SELECT deadline FROM message")
    wake_contacts(stage.session, [contact], end)
    assert begin(stage.session, "promotional", {stage.page: 10}, end) == []
    assert stage.state(message) == "expired"
