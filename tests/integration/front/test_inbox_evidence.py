from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.outbox.metadata import make_metadata
from scheduler.store import database


def test_echo_delivery_and_read_move_the_message(page: Any, deliver: Any, say: Any, row: Any) -> None:
    now = clock.now()
    deliver(say("7"))
    message_id, attempt_id = _sending(page.id, "7", now)
    echo = {
        "sender": {"id": page.external_id},
        "recipient": {"id": "7"},
        "timestamp": now * 1000,
        "message": {"mid": "m_out", "is_echo": True, "metadata": make_metadata(message_id, attempt_id)},
    }
    people = {"sender": {"id": "7"}, "recipient": {"id": page.external_id}, "timestamp": now * 1000}
    states = []
    for event in (
        echo,
        {**people, "delivery": {"mids": ["m_out"], "watermark": str(now * 1000)}},
        {**people, "read": {"watermark": (now + 1) * 1000}},
    ):
        assert deliver(event).json()["failed"] == 0
        states.append(row("SELECT state FROM message")[0])
    assert states == ["sent", "delivered", "read"]
    assert row("SELECT mid FROM message")[0] == "m_out"


def test_a_message_from_a_person_wakes_what_waits_for_them(page: Any, deliver: Any, say: Any, row: Any) -> None:
    deliver(say("7"))
    message_id, _ = _sending(page.id, "7", clock.now())
    with Session(database.engine()) as session:
        session.connection().execute(text("DELETE FROM attempt"))
        session.connection().execute(
            text("UPDATE message SET state = 'scheduled', due_at = NULL, wakes_on = 'inbound' WHERE id = :id"),
            {"id": message_id},
        )
        session.commit()
    deliver(say("7", "hello again", at=clock.now() + 1))
    assert row("SELECT state FROM message")[0] == "due"


def _sending(page_id: int, psid: str, now: int) -> tuple[int, int]:
    with Session(database.engine()) as session:
        template_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO template "
                    "(page_id, name, version, category, default_locale, bodies, utility_approved, created_at) "
                    "VALUES (:page_id, 't', 1, 'promotional', 'en', '{}', false, :now) RETURNING id"
                ),
                {"page_id": page_id, "now": now},
            )
            .scalar_one()
        )
        given = {"page_id": page_id, "psid": psid, "now": now, "template_id": template_id}
        message_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, "
                    "crashes, created_at) "
                    "SELECT :page_id, id, :template_id, 'promotional', 'promotional', 'sending', :now, 1, 0, :now "
                    "FROM contact WHERE psid = :psid RETURNING id"
                ),
                given,
            )
            .scalar_one()
        )
        attempt_id = (
            session.connection()
            .execute(
                text(
                    "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
                    "SELECT :message_id, id, :page_id, 'promotional', :now, 'sending' FROM contact "
                    "WHERE psid = :psid RETURNING id"
                ),
                {**given, "message_id": message_id},
            )
            .scalar_one()
        )
        session.commit()
    return message_id, attempt_id
