"""A page with people, templates and a clock that stands still, over real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient

from scheduler.access.keys import create_key
from scheduler.pages.tables import Page
from scheduler.store import database
from tests.integration.noon import HOUR
from tests.integration.noon import make_page as make_page
from tests.integration.noon import noon as noon
from tests.integration.noon import page as page
from tests.integration.noon import rows as rows
from tests.integration.noon import template as template
from tests.web import web


@pytest.fixture
def people(session: Session, page: Page, noon: int) -> Callable[..., dict[str, int]]:
    """``people("ada", "bob", timezones=["Europe/Berlin"])``: contacts who wrote two hours ago; psid → id."""

    def make(*psids: str, **columns: Any) -> dict[str, int]:
        values: dict[str, Any] = {
            "timezones": ["Europe/Berlin"],
            "last_inbound_at": noon - 2 * HOUR,
            "page_id": page.id,
        }
        values |= columns
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        rows = session.execute(
            text(
                f"INSERT INTO contact (psid, created_at, {names}) "
                f"SELECT unnest(CAST(:psids AS text[])), 0, {places} RETURNING psid, id"
            ),
            {"psids": list(psids), **values},
        )
        made = {row.psid: row.id for row in rows}
        session.commit()
        return made

    return make


@pytest.fixture
def client(database_url: str) -> Iterator[TestClient]:
    """The web application; an error inside is an answer, as it is for everybody else."""
    with web() as opened:
        yield opened


@pytest.fixture
def api(client: TestClient, noon: int) -> Callable[..., Any]:
    """``api("POST", "/pages/…", {…})``: a call of /api/v1 with a key."""
    with database.session() as opened:
        key = create_key(opened, "tests", now=noon)

    def call(method: str, path: str, body: object = None, **query: Any) -> Any:
        given = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {key}"}
        return client.request(method, f"/api/v1{path}", headers=headers, params=query or None, **given)

    return call
