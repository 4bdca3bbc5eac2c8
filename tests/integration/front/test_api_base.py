from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text
from starlette.testclient import TestClient

from scheduler import clock
from scheduler.access.keys import create_key, revoke_key
from scheduler.api.app import create_app
from scheduler.api.instants import Instant
from scheduler.api.sessions import Db
from scheduler.errors import Conflict, Unavailable
from scheduler.outbox.beat import record_beat
from scheduler.store import database


def test_alive_and_ready(client: TestClient, redis_url: str) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    with database.session() as session:
        for task in ("tick", "sweep"):
            record_beat(session, task, clock.now())
    assert client.get("/readyz").json()["status"] == "ready"


def test_not_ready_while_the_database_is_behind(client: TestClient) -> None:
    with database.session() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["way_out"] == "run `duly db upgrade`"


def test_not_ready_and_still_alive_without_a_database(client: TestClient, set_environment: Any) -> None:
    set_environment(DULY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    database.dispose()


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer duly_wrong", "Basic ZHVseTp4", "Bearer " + "x" * 5000, "Bearer duly_\xe9"],
)
def test_without_a_known_key_everything_is_closed(client: TestClient, header: str | None) -> None:
    given = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = client.get("/api/v1/pages", headers=given)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_authenticated"
    assert answer.json()["way_out"]


def test_every_versioned_address_asks_for_a_key(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    versioned = [(path, method) for path, methods in paths.items() if path.startswith("/api/v1") for method in methods]
    assert versioned
    for path, method in versioned:
        assert client.request(method, path.replace("{", "").replace("}", "")).status_code == 401, (method, path)


def test_a_revoked_key_opens_nothing_any_more(client: TestClient) -> None:
    with database.session() as session:
        key = create_key(session, "shop", now=1)
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/api/v1/pages", headers=headers).status_code == 200
    with database.session() as session:
        revoke_key(session, "shop", now=2)
    assert client.get("/api/v1/pages", headers=headers).status_code == 401


def test_a_key_is_kept_as_a_hash_only(database_url: str, row: Any) -> None:
    with database.session() as session:
        key = create_key(session, "shop", now=1)
    kept = row("SELECT encode(sha256, 'escape') || prefix || name FROM api_key")[0]
    assert key not in kept
    with database.session() as session, pytest.raises(Conflict):
        create_key(session, "shop", now=1)


def test_unknown_addresses_and_methods_are_problems(client: TestClient, api: Any) -> None:
    missing = client.get("/nothing/here")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = api("DELETE", "/pages")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "body"),  # cut off
        (b"\xff", 400, "body"),  # not UTF-8
        (b"", 422, "body"),  # nothing
        (b"[]", 422, "body"),  # not an object
        (b'{"external_id": 5}', 422, "external_id"),  # the wrong type
        (b'{"external_id": "1", "colour": "red"}', 422, "name"),  # too little
    ],
)
def test_bad_bodies_name_the_field_and_the_way_out(api: Any, body: bytes, status: int, field: str) -> None:
    answer = api("POST", "/pages", content=body, content_type="application/json")
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert {"type", "title", "status", "detail", "code", "errors"} <= problem.keys()
    assert field in [error["field"] for error in problem["errors"]]
    assert all(error["message"] and error["way_out"] for error in problem["errors"])


def test_a_body_of_another_type_is_named_as_such(api: Any) -> None:
    answer = api("POST", "/pages", content=b'{"name": "Nord"}', content_type="text/plain")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "body", "message": "is not a JSON object", "way_out": "send an object, as application/json"}
    ]


def test_every_answer_carries_the_safe_headers(client: TestClient) -> None:
    for path in ("/healthz", "/nothing", "/api/v1/pages"):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_a_body_over_the_limit_is_refused(api: Any) -> None:
    answer = api("POST", "/pages", content=b" " * (32 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = api("POST", "/pages", content=(b" " * 1024 * 1024 for _ in range(33)))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


class _Moment(BaseModel):
    at: Instant


def _with_test_routes() -> TestClient:
    router = APIRouter()

    @router.get("/crash")
    def crash() -> None:
        raise KeyError("EAAsecretsecret")

    @router.get("/unavailable")
    def unavailable() -> None:
        raise Unavailable("the shop is closed", way_out="come back")

    @router.get("/half")
    def half(session: Db) -> None:
        session.connection().execute(text("INSERT INTO beat (task, ran_at) VALUES ('half', 1)"))
        raise Conflict("not now", field="task", way_out="later")

    @router.get("/whole")
    def whole(session: Db) -> None:
        session.connection().execute(text("INSERT INTO beat (task, ran_at) VALUES ('whole', 1)"))

    @router.get("/commit-fails")
    def commit_fails(session: Db) -> dict[str, bool]:
        session.connection().execute(
            text("CREATE TEMP TABLE late (a int PRIMARY KEY, b int REFERENCES late DEFERRABLE INITIALLY DEFERRED)")
        )
        session.connection().execute(text("INSERT INTO late VALUES (1, 2)"))
        return {"stored": True}

    @router.post("/moment")
    def moment(given: _Moment) -> _Moment:
        return given

    @router.get("/number/{number}")
    def number(number: int, session: Db) -> None:
        session.connection().execute(text("UPDATE beat SET ran_at = CAST(:n AS bigint)"), {"n": number})

    app = create_app()
    app.include_router(router)
    return TestClient(app, raise_server_exceptions=False)


def test_what_goes_wrong_inside_is_not_told(database_url: str) -> None:
    with _with_test_routes() as client:
        answer = client.get("/crash")
        assert (answer.status_code, answer.json()["code"]) == (500, "error")
        assert "EAA" not in answer.text
        assert "KeyError" not in answer.text
        closed = client.get("/unavailable")
        assert (closed.status_code, closed.json()["way_out"]) == (503, "come back")


def test_a_request_is_one_transaction_committed_before_its_answer(database_url: str, row: Any) -> None:
    with _with_test_routes() as client:
        refused = client.get("/half")
        assert refused.status_code == 409
        assert refused.json()["errors"] == [{"field": "task", "message": "not now", "way_out": "later"}]
        assert client.get("/whole").status_code == 200
        assert row("SELECT array_agg(task) FROM beat")[0] == ["whole"]
        # Nobody is told that something was stored that was not.
        assert client.get("/commit-fails").status_code == 500


def test_a_number_too_large_for_the_database_is_the_callers_error(database_url: str) -> None:
    with _with_test_routes() as client:
        answer = client.get(f"/number/{10**30}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("given", "epoch"),
    [
        ("2026-03-28T08:00:00Z", "2026-03-28T08:00:00Z"),  # as we write it
        ("2026-03-28T09:30:00.75+01:30", "2026-03-28T08:00:00Z"),  # another offset, a fraction
        ("2026-03-28t08:00:00z", "2026-03-28T08:00:00Z"),  # lower case is RFC 3339 too
        ("2026-03-28T09:00+01:00", "2026-03-28T08:00:00Z"),  # as people write it
        ("2026-03-28T08:00:00", None),  # no offset
        ("2026-03-28T08", None),  # nor minutes
        ("2026-02-30T08:00:00Z", None),  # no such day
        ("tomorrow", None),  # words
        ("9999-12-31T23:59:59-23:59", None),  # beyond the calendar
        (True, None),  # not a string
    ],
)
def test_instants_have_an_offset_and_exist(database_url: str, given: object, epoch: str | None) -> None:
    with _with_test_routes() as client:
        answer = client.post("/moment", json={"at": given})
        if epoch is None:
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == "at"
            assert "must be an instant" in answer.json()["errors"][0]["message"]
        else:
            assert answer.json() == {"at": epoch}


@pytest.mark.parametrize("key", [None, "Bearer duly_guessed", "Basic eA=="])
def test_a_large_body_of_a_stranger_is_not_read(client: TestClient, database_url: str, key: str | None) -> None:
    """Neither in chunks nor in one piece: JSON of megabytes would keep the webhook waiting."""
    chunks = (b"[" + b"1," * 32_768 for _ in range(64))
    headers = {"Content-Type": "application/json"} | ({"Authorization": key} if key else {})
    answer = client.post("/api/v1/pages/1/campaigns", content=chunks, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    body = b"[" + b"1," * (200_000) + b"1]"
    assert client.post("/api/v1/pages/1/campaigns", content=body, headers=headers).status_code == 401


def test_a_large_body_of_somebody_with_a_key_is_read(api: Any, page: Any) -> None:
    answer = api("POST", "/pages/1/campaigns", {"name": "x" * 300_000, "template": "x", "audience": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
