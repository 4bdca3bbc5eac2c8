"""Which page stands still: one that could send and does not, whatever the others do; and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient

from scheduler.facts import health
from scheduler.lineage.identity import claim, hold
from scheduler.outbox.beat import record_beat
from scheduler.pages.tables import Page
from tests.integration.noon import NOON

Rows = Callable[..., list[Any]]

#: What a person or the platform did → the statement that does it, to the page `:page`.
SWITCH = (
    "INSERT INTO kill_switch (page_id, actor, why, engaged_at) SELECT {page}, 'a', 'b', 0 FROM page WHERE id = :page"
)
HELD = {
    "the platform refused the page": "UPDATE page SET stopped_at = 0, stopped_reason = 'bad_token' WHERE id = :page",
    "a kill switch of the page": SWITCH.format(page="id"),
    "a kill switch over all": SWITCH.format(page="NULL"),
}


@pytest.fixture
def other(page: Page, make_page: Callable[..., Page]) -> Page:
    """A second page, which sends."""
    return make_page("777")


@pytest.fixture
def waiting(
    session: Session, page: Page, other: Page, people: Callable[..., dict[str, int]], template: Any, rows: Rows,
    redis_url: str,
) -> None:  # fmt: skip
    """Beat ticks, and each of the two pages has a message that has been due for ten minutes; the other begins some."""
    for task in ("tick", "sweep"):
        record_beat(session, task, NOON)
    saved = template()
    for number, each in enumerate((page, other)):
        contact = people(f"ada{number}", page_id=each.id)[f"ada{number}"]
        rows(
            "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, due_at, deadline, "
            "attempts, crashes, created_at, variables) "
            "VALUES (:page, :contact, :template, 'utility', 'utility', 'due', :since, :since, :end, 0, 0, 0, '{}') "
            "RETURNING id",
            page=each.id, contact=contact, template=saved.id, since=NOON - 600, end=NOON + 600,
        )  # fmt: skip
    begun(rows, other, NOON)
    session.commit()


def begun(rows: Rows, page: Page, at: int) -> None:
    rows(
        "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
        "SELECT id, contact_id, page_id, 'utility', :at, 'sent' FROM message WHERE page_id = :page RETURNING id",
        at=at, page=page.id,
    )  # fmt: skip


def alerts(api: Callable[..., Any]) -> list[tuple[str, str | None]]:
    return [(alert["kind"], alert["page"]) for alert in api("GET", "/ops/status").json()["alerts"]]


def test_a_page_that_hangs_while_another_sends_is_noticed(
    client: TestClient, api: Callable[..., Any], waiting: None, page: Page, rows: Rows, session: Session
) -> None:
    begun(rows, page, NOON - 3600)
    session.commit()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == (
        "page 555: messages have been due for 600 s and the last was begun 3600 s ago: the workers do not get on"
    )
    assert ("stalled", "555") in alerts(api)
    assert ("stalled", "777") not in alerts(api)
    told = client.get("/metrics").text
    assert 'duly_page_stalled{page="555"} 1.0' in told
    assert 'duly_page_stalled{page="777"} 0.0' in told
    # Whatever keeps messages from going out, a balancer goes on sending webhooks here.
    assert client.get("/readyz/webhooks").json()["status"] == "ready"


@pytest.mark.parametrize("cause", HELD)
def test_a_page_that_somebody_made_wait_is_not_said_to_hang(
    client: TestClient, api: Callable[..., Any], waiting: None, page: Page, rows: Rows, session: Session, cause: str
) -> None:
    assert client.get("/readyz").status_code == 503
    rows(f"{HELD[cause]} RETURNING id", page=page.id)
    session.commit()
    assert client.get("/readyz").status_code == 200
    assert "stalled" not in [kind for kind, _ in alerts(api)]
    assert 'duly_page_stalled{page="555"} 0.0' in client.get("/metrics").text


def test_in_a_restored_database_that_is_held_no_page_is_said_to_hang(
    client: TestClient, api: Callable[..., Any], waiting: None, session: Session
) -> None:
    claim(session, NOON)
    assert hold(session, "it was restored", NOON)
    session.commit()
    assert "the workers do not get on" not in client.get("/readyz").json()["detail"]
    assert "stalled" not in [kind for kind, _ in alerts(api)]


def test_a_switch_over_one_category_explains_no_standstill_of_all(
    client: TestClient, waiting: None, rows: Rows, session: Session
) -> None:
    rows("INSERT INTO kill_switch (category, actor, why, engaged_at) VALUES ('promotional', 'a', 'b', 0) RETURNING id")
    session.commit()
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    ("key", "field"), [("duly:rate", "closed"), ("duly:breaker", "open")], ids=["throttled", "breaker"]
)
def test_a_page_that_the_platform_made_wait_is_not_said_to_hang(
    client: TestClient, api: Callable[..., Any], waiting: None, page: Page, redis_url: str, key: str, field: str
) -> None:
    assert client.get("/readyz").status_code == 503
    with redis.Redis.from_url(redis_url) as server:
        present = int(server.time()[0])
        server.hset(f"{key}:{page.id}", field, str(present + 3600))
        assert client.get("/readyz").status_code == 200
        assert "stalled" not in [kind for kind, _ in alerts(api)]
        # It opened this moment: what was due all the while has its turn now.
        server.hset(f"{key}:{page.id}", field, str(present))
        assert client.get("/readyz").status_code == 200


def test_a_page_that_waited_for_the_platform_long_ago_hangs_like_any_other(
    client: TestClient, waiting: None, page: Page, redis_url: str, set_environment: Callable[..., None]
) -> None:
    # A clock on which a minute passes in no time, and from an hour ago on it is long.
    set_environment(DULY_CLOCK_START="2026-05-05T12:00:00Z", DULY_CLOCK_RATE="1", DULY_CLOCK_ORIGIN=str(NOON))
    with redis.Redis.from_url(redis_url) as server:
        server.hset(f"duly:rate:{page.id}", "closed", str(int(server.time()[0]) - 300))
    detail = client.get("/readyz").json()["detail"]
    assert "page 555: messages have been due for" in detail


def test_a_page_on_which_all_is_put_off_gets_on(
    client: TestClient, waiting: None, page: Page, rows: Rows, session: Session
) -> None:
    """A new policy puts a long queue off: nothing is begun there, and yet it is worked on."""
    assert client.get("/readyz").status_code == 503
    rows(
        "INSERT INTO message_log (message_id, at, from_state, to_state, actor, verdict, page_id) "
        "SELECT id, :at, 'due', 'scheduled', 'deliver', 'defer', page_id FROM message "
        "WHERE page_id = :page RETURNING id",
        at=NOON, page=page.id,
    )  # fmt: skip
    session.commit()
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("busy", ["begins", "puts off"])
def test_a_quiet_page_is_not_lost_among_what_a_busy_one_does(
    client: TestClient, waiting: None, page: Page, other: Page, rows: Rows, session: Session, busy: str
) -> None:
    rows(
        "INSERT INTO message_log (message_id, at, from_state, to_state, actor, verdict, page_id) "
        "SELECT id, :at, 'due', 'scheduled', 'deliver', 'defer', page_id FROM message "
        "WHERE page_id = :page RETURNING id",
        at=NOON, page=page.id,
    )  # fmt: skip
    much = {
        "begins": "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
        "SELECT m.id, contact_id, page_id, 'utility', :at, 'sent' FROM message m, generate_series(1, 60000) "
        "WHERE page_id = :page",
        "puts off": "INSERT INTO message_log (message_id, at, from_state, to_state, actor, verdict, page_id) "
        "SELECT m.id, :at, 'due', 'scheduled', 'deliver', 'defer', page_id FROM message m, generate_series(1, 60000) "
        "WHERE page_id = :page",
    }
    session.execute(text(much[busy]), {"at": NOON, "page": other.id})
    session.execute(text("ANALYZE attempt, message_log"))
    session.commit()
    assert client.get("/readyz").status_code == 200
    # One row from the end of an index, each page.
    pages = {"pages": [page.id, other.id]}
    looked = {"begins": (health._BEGUN, "attempt_page"), "puts off": (health._DECIDED, "message_log_page")}
    statement, index = looked[busy]
    plan = session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), pages).scalar_one()[0]["Plan"]
    assert index in str(plan)
    assert "Seq Scan" not in str(plan)
    assert "'Node Type': 'Sort'" not in str(plan)


def test_many_pages_that_hang_are_a_short_sentence(
    client: TestClient, waiting: None, page: Page, session: Session, rows: Rows, make_page: Callable[..., Page]
) -> None:
    for number in range(9):
        made = make_page(f"90{number}")
        rows(
            "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, due_at, deadline, "
            "attempts, crashes, created_at, variables) SELECT :made, contact_id, template_id, lane, category, state, "
            "state_at, due_at, deadline, 0, 0, 0, '{}' FROM message WHERE page_id = :page RETURNING id",
            made=made.id, page=page.id,
        )  # fmt: skip
    session.commit()
    detail = client.get("/readyz").json()["detail"]
    assert detail.count("the workers do not get on") == 5
    assert detail.endswith("and 5 more pages")


def test_without_its_tables_no_process_takes_webhooks(client: TestClient, rows: Rows, session: Session) -> None:
    rows("UPDATE alembic_version SET version_num = '0000' RETURNING version_num")
    session.commit()
    assert client.get("/readyz/webhooks").status_code == 503
