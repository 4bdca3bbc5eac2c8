"""Retention: what goes, what stays for a reason, a chunk at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from scheduler.consent.choices import record_opt_out
from scheduler.consent.tokens import grant_token
from scheduler.followups.planning import plan_next_event
from scheduler.outbox.tables import Attempt, DeadLetterAct, MessageLog
from scheduler.pages.tables import Page
from scheduler.privacy.retention import prune, standing
from scheduler.settings import get_settings
from tests.integration.noon import DAY


@pytest.fixture
def event(session: Session, page: Page, noon: int) -> Callable[..., int]:
    """``event("p0", days=100)``: a raw event that came so long ago; its id."""

    def make(psid: str | None, days: float, error: str | None = None) -> int:
        made = session.execute(
            text(
                "INSERT INTO platform_event (page_id, kind, psid, dedupe_key, received_at, body, error) VALUES "
                "(:page, 'message', :psid, gen_random_uuid()::text, :at, '{}', :error) RETURNING id"
            ),
            {"page": page.id, "psid": psid, "at": noon - int(days * DAY), "error": error},
        ).scalar_one()
        session.commit()
        return int(made)

    return make


def test_old_raw_events_go_and_what_proves_a_consent_stays(
    session: Session, page: Page, people: Any, event: Any, rows: Any, noon: int
) -> None:
    one, two = people(2)
    proof, gone, failed = event("p0", 200), event("p0", 150), event("p1", 140, error="unreadable")
    event("nobody", 130)
    young = event("p0", 89)
    record_opt_out(session, one, source="message", event_id=proof, at=noon - 200 * DAY, now=noon)
    session.execute(text("UPDATE contact SET held_at = 1 WHERE id = :id"), {"id": two})
    done = prune(session, noon)
    assert (done.rows, done.more) == ({"platform_events": 2}, [])
    assert [row.id for row in rows("SELECT id FROM platform_event ORDER BY id")] == [proof, failed, young]
    assert gone not in {proof, failed, young}
    # Somebody looked at it; the next day's walk begins again.
    session.execute(text("UPDATE contact SET held_at = NULL"))
    assert prune(session, noon).rows == {}
    prune(session, noon + DAY)
    assert prune(session, noon + DAY).rows == {"platform_events": 1}


def test_a_chunk_at_a_time_and_more_is_told(session: Session, event: Any, noon: int) -> None:
    for number in range(5):
        event(f"x{number}", 200 - number)
    event("young", 1)
    assert {left.rule.name: left.rows for left in standing(session, noon)}["platform_events"] == 5
    chunks = []
    while True:
        done = prune(session, noon, 2, only=["platform_events"])
        chunks.append(done.rows.get("platform_events", 0))
        session.commit()
        if not done.more:
            break
    assert chunks == [2, 2, 1]
    left = {left.rule.name: left for left in standing(session, noon)}["platform_events"]
    assert (left.rows, left.pruned, left.days) == (0, 5, 90)


def test_messages_go_with_all_that_hangs_on_them(
    session: Session, page: Page, people: Any, message: Any, rows: Any, noon: int
) -> None:
    (one,) = people(1)
    old = noon - 500 * DAY
    repeated = message(one, state="unconfirmed", created_at=old, state_at=old)
    again = message(one, state="sent", created_at=old, state_at=old, resend_of=repeated)
    late = message(one, state="sent", created_at=old, state_at=noon - 10 * DAY)
    waiting = message(one, state="scheduled", created_at=old, state_at=old)
    for each in (repeated, again, late):
        session.add(
            Attempt(message_id=each, contact_id=one, page_id=page.id, category="x", begun_at=old, outcome="sent")
        )
        session.add(MessageLog(message_id=each, at=old, to_state="sent", actor="deliver"))
    session.add(DeadLetterAct(message_id=repeated, act="redrive", was="x", why="y", actor="z", at=old, resent_as=again))
    session.commit()
    assert prune(session, noon).rows == {"messages": 1}
    prune(session, noon + DAY)
    assert prune(session, noon + DAY).rows == {"messages": 1}
    assert [row.id for row in rows("SELECT id FROM message ORDER BY id")] == [late, waiting]
    for table in ("attempt", "message_log"):
        assert [row.message_id for row in rows(f"SELECT message_id FROM {table}")] == [late]
    assert rows("SELECT id FROM dead_letter_act") == []


def test_what_a_one_time_token_was_spent_on_stays(
    session: Session, page: Page, people: Any, message: Any, noon: int
) -> None:
    (one,) = people(1)
    old = noon - 500 * DAY
    grant_token(session, one, kind="one_time", token="t", topic="x", expires_at=None, event_id=None, at=old, now=old)
    token = session.execute(text("SELECT id FROM permission_token")).scalar_one()
    sent = message(one, state="sent", created_at=old, state_at=old)
    session.add(
        Attempt(
            message_id=sent, contact_id=one, page_id=page.id, category="x", begun_at=old, outcome="sent", token_id=token
        )
    )
    session.commit()
    assert prune(session, noon).rows == {}


def test_nothing_that_decisions_read_is_ever_pruned(
    session: Session, page: Page, people: Any, message: Any, set_environment: Any, rows: Any, noon: int
) -> None:
    """Sends of 30 days, suppressions, consents, tokens: whatever is set."""
    (one,) = people(1)
    for name in ("EVENTS", "MESSAGES", "SHOP"):
        lowest = next(
            each.ge
            for each in type(get_settings()).model_fields[f"retention_{name.lower()}"].metadata
            if hasattr(each, "ge")
        )
        set_environment(**{f"DULY_RETENTION_{name}": str(lowest)})
    old = noon - 3_000 * DAY
    record_opt_out(session, one, source="api", at=old, now=old)
    for days in (0, 1, 29, 30, 31, 59):
        sent = message(one, state="sent", created_at=noon - days * DAY, state_at=noon - days * DAY)
        session.add(
            Attempt(
                message_id=sent, contact_id=one, page_id=page.id, category="promotional",
                begun_at=noon - days * DAY, outcome="sent",
            )
        )  # fmt: skip
    session.commit()
    assert prune(session, noon).rows == {}
    assert len(rows("SELECT id FROM attempt")) == 6
    assert len(rows("SELECT id FROM suppression WHERE lifted_at IS NULL")) == 1
    assert len(rows("SELECT id FROM consent_record")) == 1


def test_what_happened_in_the_shop_is_blanked_and_stays_told(
    session: Session, page: Page, people: Any, rows: Any, noon: int
) -> None:
    (one,) = people(1)
    session.execute(
        text(
            "INSERT INTO business_event (page_id, kind, key, body, occurred_at, received_at, plan_cursor, planned_at, "
            "contact_id) VALUES (:page, 'order.shipped', 'o-1', CAST(:body AS jsonb), 0, 0, 0, 0, :id)"
        ),
        {"page": page.id, "id": one, "body": json.dumps({"order": "1"})},
    )
    session.execute(
        text("INSERT INTO product_signal (page_id, contact_id, kind, sku, at) VALUES (:page, :id, 'viewed', 's', 0)"),
        {"page": page.id, "id": one},
    )
    assert prune(session, noon).rows == {"business_events": 1, "product_signals": 1}
    assert [tuple(row) for row in rows("SELECT key, body FROM business_event")] == [("o-1", {})]


def test_what_waited_for_a_person_in_vain_is_blanked_and_planned_by_nobody(
    session: Session, page: Page, rows: Any, noon: int
) -> None:
    session.execute(
        text(
            "INSERT INTO business_event (page_id, kind, key, body, occurred_at, received_at, plan_cursor, person_kind, "
            "person_key) VALUES (:page, 'order.shipped', 'o-2', CAST(:body AS jsonb), 0, 7, 0, 'phone', 'hash')"
        ),
        {"page": page.id, "body": json.dumps({"order": "2"})},
    )
    assert prune(session, noon).rows == {"business_events": 1}
    left = rows("SELECT body, person_key, planned_at FROM business_event")
    assert [tuple(row) for row in left] == [({}, None, 7)]
    assert not plan_next_event(session, noon, 100)


def test_the_log_goes_by_retention_alone(session: Session, people: Any, message: Any, noon: int) -> None:
    one = message(people(1)[0], state="sent")
    session.add(MessageLog(message_id=one, at=noon, to_state="sent", actor="deliver", facts={"a": 1}))
    session.commit()
    for statement in ("DELETE FROM message_log", "UPDATE message_log SET facts = NULL"):
        with pytest.raises(IntegrityError):
            session.execute(text(statement))
        session.rollback()
    session.execute(text("SELECT set_config('duly.erasing', 'on', true)"))
    with pytest.raises(IntegrityError):
        session.execute(text("UPDATE message_log SET to_state = 'read', facts = NULL"))
    session.rollback()
