"""A registered page, people who write to it, and the web application over real servers."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient

from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.pages.registry import add_page
from scheduler.store import database
from tests.web import web

SECRET = "0123456789abcdef0123456789abcdef"
VERIFY_TOKEN = "letmein-8461"
PAGE = "100200300400"

_mids = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Registered:
    """A page as the tests need to know it."""

    id: int
    app_id: int
    external_id: str = PAGE
    secret: str = SECRET


@pytest.fixture(autouse=True)
def _as_the_web_process_has_it(set_environment: Callable[..., None]) -> None:
    set_environment(DULY_DATABASE_POOL="10")


@pytest.fixture
def page(database_url: str) -> Registered:
    """A page in mode live."""
    with database.session() as session:
        made = add_page(
            session,
            app_external_id="900100",
            app_secret=SECRET,
            verify_token=VERIFY_TOKEN,
            external_id=PAGE,
            name="Corner Shop",
            token="EAAtoken",
            mode="live",
            rate=30,
            now=clock.now(),
        )
        assert made.id is not None
        return Registered(id=made.id, app_id=made.app_id)


@pytest.fixture
def client(database_url: str) -> Iterator[TestClient]:
    """The web application; an error inside is an answer, as it is for everybody else."""
    with web() as opened:
        yield opened


@pytest.fixture
def api(client: TestClient) -> Callable[..., Any]:
    """``api("PUT", "/pages/…", {…})``: a call of /api/v1 with a key."""
    with database.session() as session:
        key = create_key(session, "tests", now=clock.now())

    def call(method: str, path: str, body: object = None, content_type: str | None = None, **more: Any) -> Any:
        given = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {key}"} | ({"Content-Type": content_type} if content_type else {})
        return client.request(method, f"/api/v1{path}", headers=headers, **given, **more)

    return call


@pytest.fixture
def deliver(client: TestClient) -> Callable[..., Any]:
    """``deliver(event, event)``: a signed webhook with these events, one entry each; or raw bytes."""

    def post(*events: object, raw: bytes | None = None, secret: str = SECRET, page: str = PAGE) -> Any:
        body = raw if raw is not None else envelope(*events, page=page)
        return client.post(
            "/webhooks/messenger",
            content=body,
            headers={"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"},
        )

    return post


@pytest.fixture
def row(database_url: str) -> Callable[..., Any]:
    """``row("SELECT …", name=value)``: the first row of a query in a transaction of its own."""

    def fetch(query: str, **values: object) -> Any:
        with Session(database.engine()) as session:
            return session.connection().execute(text(query), values).first()

    return fetch


@pytest.fixture
def say() -> Callable[..., dict[str, Any]]:
    """``say("42", "hello", at=…)``: the event of a person who writes."""

    def event(psid: str, words: str | None = "hello", *, at: int | None = None, **more: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"mid": f"m_{next(_mids)}", **more}
        if words is not None:
            message["text"] = words
        return envelope_event(psid, at, message=message)

    return event


@pytest.fixture
def happen() -> Callable[..., dict[str, Any]]:
    """``happen("42", postback={…}, at=…)``: any event from a person."""

    def event(psid: str, *, at: int | None = None, **what: Any) -> dict[str, Any]:
        return envelope_event(psid, at, **what)

    return event


@pytest.fixture
def contact(row: Any) -> Any:
    """``contact("7", "last_inbound_at")``: columns of a contact."""
    return lambda psid, columns: row(f"SELECT {columns} FROM contact WHERE psid = :psid", psid=psid)


@pytest.fixture
def opted_out(row: Any) -> Any:
    """``opted_out("7")``: whether an opt-out from everything is in force."""

    def look(psid: str) -> bool:
        query = (
            "SELECT count(*) FROM suppression s JOIN contact c ON c.id = s.contact_id "
            "WHERE psid = :psid AND reason = 'opted_out' AND topic IS NULL AND lifted_at IS NULL"
        )
        return bool(row(query, psid=psid)[0])

    return look


def envelope_event(psid: str, at: int | None, **what: Any) -> dict[str, Any]:
    moment = clock.now() if at is None else at
    return {"sender": {"id": psid}, "recipient": {"id": PAGE}, "timestamp": moment * 1000, **what}


def envelope(*events: object, page: str = PAGE) -> bytes:
    entries = [{"id": page, "time": clock.now() * 1000, "messaging": [event]} for event in events]
    return json.dumps({"object": "page", "entry": entries}).encode()


def sign(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
