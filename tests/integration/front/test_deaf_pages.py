"""A page that sends and hears nothing is told of: in the log, as a gauge, as an alert."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from scheduler import clock
from scheduler.pages.deaf import SETTLED, tell_deaf_pages
from scheduler.store import database

_SENT = """
    WITH t AS (INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_approved,
        created_at) VALUES (:page, CAST(:name AS text), 1, 'promotional', 'en', '{}', false, :at) RETURNING id),
    c AS (INSERT INTO contact (page_id, psid, created_at) VALUES (:page, :name, :at) RETURNING id),
    m AS (INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, crashes,
        created_at) SELECT :page, c.id, t.id, 'promotional', 'promotional', 'sent', :at, 1, 0, :at FROM t, c
        RETURNING id, contact_id)
    INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome)
    SELECT id, contact_id, :page, 'promotional', :at, 'sent' FROM m
"""
_HEARD = """
    INSERT INTO platform_event (page_id, kind, dedupe_key, received_at, body)
    VALUES (:page, 'echo', :name, :at, '{}')
"""


@pytest.mark.parametrize(
    ("sent", "heard", "deaf"),
    [
        ((), (), False),  # it sends nothing
        ((1000,), (), True),  # and never heard of it
        ((800,), (), False),  # not long enough ago
        ((1000,), (900,), False),  # heard since
        ((5000, 1000), (4900,), True),  # heard for a while, and no more
        ((5000, 800), (4900,), False),  # what went out since may still be answered
        ((1000, 10), (5,), False),  # late, but heard
    ],
)
def test_a_page_is_deaf_when_nothing_follows_what_it_sent(
    page: Any, client: TestClient, api: Any, sent: tuple[int, ...], heard: tuple[int, ...], deaf: bool
) -> None:
    assert SETTLED == 900
    now = clock.now()
    with Session(database.engine()) as session:
        for statement, moments in ((_SENT, sent), (_HEARD, heard)):
            for ago in moments:
                session.execute(text(statement), {"page": page.id, "at": now - ago, "name": f"x{ago}"})
        session.commit()
        with capture_logs() as said:
            assert tell_deaf_pages(session, now) == deaf
            tell_deaf_pages(session, now)
    lines = [line for line in said if line["event"] == "page_deaf"]
    assert [(line["page"], line["log_level"]) for line in lines] == ([(page.external_id, "error")] if deaf else [])
    alerts = [alert["page"] for alert in api("GET", "/ops/status").json()["alerts"] if alert["kind"] == "deaf_page"]
    assert alerts == ([page.external_id] if deaf else [])
    assert f'duly_page_deaf{{page="{page.external_id}"}} {float(deaf)}' in client.get("/metrics").text
