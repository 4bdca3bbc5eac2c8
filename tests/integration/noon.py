"""A clock that stands at noon, and a page with templates below it: what the tests of people and of wants share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.content.tables import Template
from scheduler.content.templates import save_template
from scheduler.pages.registry import add_page
from scheduler.pages.tables import Page

#: Tuesday 2026-05-05, 12:00 UTC: 14:00 in Berlin, 08:00 in New York, 21:00 in Tokyo.
NOON = 1_777_982_400
HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def noon(set_environment: Callable[..., None]) -> int:
    """The instant at which the clock stands, epoch seconds."""
    set_environment(
        DULY_CLOCK_START="2026-05-05T12:00:00Z",
        DULY_CLOCK_RATE="0.000000001",
        DULY_CLOCK_ORIGIN="1700000000",
        DULY_DATABASE_POOL="10",
    )
    return NOON


@pytest.fixture
def make_page(session: Session, noon: int) -> Callable[..., Page]:
    """``make_page("555", mode="live")``: a registered page."""

    def make(external_id: str = "555", *, mode: str = "live") -> Page:
        page = add_page(
            session,
            app_external_id="900",
            app_secret="0123456789abcdef",
            verify_token="letmein-8461",
            external_id=external_id,
            name="Corner Shop",
            token="EAAtoken",
            mode=mode,
            rate=30,
            now=noon - 30 * DAY,
        )
        session.commit()
        return page

    return make


@pytest.fixture
def page(make_page: Callable[..., Page]) -> Page:
    """A live page."""
    return make_page()


@pytest.fixture
def template(session: Session, page: Page, noon: int) -> Callable[..., Template]:
    """``template("promo", "Hello")``: a saved template of the page."""

    def save(name: str = "promo", words: str = "Hello {{ contact.first_name }}!", **more: Any) -> Template:
        given: dict[str, Any] = {"category": "promotional", "default_locale": "en", "bodies": {"en": {"text": words}}}
        assert page.id is not None
        saved = save_template(session, page.id, name=name, **(given | more), actor="tests", now=noon)
        session.commit()
        return saved

    return save


@pytest.fixture
def rows(session: Session) -> Callable[..., list[Any]]:
    """``rows("SELECT …", name=value)``: what is stored."""

    def fetch(query: str, **values: object) -> list[Any]:
        session.flush()
        return list(session.connection().execute(text(query), values).all())

    return fetch
