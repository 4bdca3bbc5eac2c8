"""A page, people of it, and a count of statements, over a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import Session

from scheduler.access.keys import create_key
from scheduler.contacts.merging import merge_contacts
from scheduler.content.tables import Template
from scheduler.outbox.tables import Message
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.integration.noon import NOON
from tests.integration.noon import make_page as make_page
from tests.integration.noon import noon as noon
from tests.integration.noon import page as page
from tests.integration.noon import rows as rows
from tests.integration.noon import template as template
from tests.web import web


@pytest.fixture
def people(session: Session, page: Page) -> Callable[..., list[int]]:
    """``people(3)``: contacts of the page of whom nothing is known; their ids, by psid p0, p1, …"""

    def make(count: int, prefix: str = "p", of: Page = page) -> list[int]:
        rows = session.execute(
            text(
                "INSERT INTO contact (page_id, psid, created_at) "
                "SELECT :page, :prefix || n, 0 FROM generate_series(0, :last) AS n ORDER BY n RETURNING id"
            ),
            {"page": of.id, "prefix": prefix, "last": count - 1},
        )
        made = list(rows.scalars())
        session.commit()
        return made

    return make


@pytest.fixture
def message(session: Session, page: Page, template: Callable[..., Template], noon: int) -> Callable[..., int]:
    """``message(contact_id, state="due", campaign_id=7)``: a message row as it is stored; its id."""
    content = template("stored")

    def make(contact_id: int, state: str = "scheduled", **more: Any) -> int:
        values: dict[str, Any] = {
            "page_id": page.id, "contact_id": contact_id, "template_id": content.id, "lane": "promotional",
            "category": "promotional", "state": state, "state_at": noon, "created_at": noon,
        }  # fmt: skip
        made = Message(**(values | more))
        session.add(made)
        session.commit()
        assert made.id is not None
        return made.id

    return make


@pytest.fixture
def one(session: Session) -> Callable[..., Any]:
    """``one("SELECT …", name=value)``: the only row."""

    def fetch(query: str, **values: object) -> Any:
        session.flush()
        return session.connection().execute(text(query), values).one()

    return fetch


@pytest.fixture
def statements(session: Session) -> Iterator[list[str]]:
    """The statements that were sent to the database since the test began, or cleared the list."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def api(session: Session, noon: int) -> Iterator[Callable[..., Any]]:
    """``api("GET", "/pages/…")``: a call of /api/v1 with a key."""

    with database.session() as own:
        key = create_key(own, "tests", now=noon)
    with web() as client:

        def call(method: str, path: str, body: object = None, **more: Any) -> Any:
            given = {} if body is None else {"json": body}
            headers = {"Authorization": f"Bearer {key}"} | more.pop("headers", {})
            return client.request(method, f"/api/v1{path}", headers=headers, **given, **more)

        yield call
        # The application closes the pool when it ends: the test's connection must be back in it.
        session.close()


@pytest.fixture
def merge(session: Session, page: Page) -> Callable[..., Any]:
    """``merge("p0", "p1")``: p1 stands for p0 from then on."""

    def do(psid: str = "p0", into: str = "p1", now: int = NOON) -> Any:
        assert page.id is not None
        return merge_contacts(session, page.id, psid, into, actor="tests", now=now)

    return do
