"""Somebody without a key, or with a wrong one: what they may, what is counted, and who is told."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from scheduler import clock
from scheduler.access.keys import create_key, revoke_key
from scheduler.access.security import note_security, security_events
from scheduler.api import health
from scheduler.api.app import create_app
from scheduler.api.security_events import WORDS
from scheduler.store import database
from tests.integration.front.conftest import VERIFY_TOKEN, envelope, sign

HOOK = "/webhooks/messenger"


def counted() -> dict[str, int]:
    """Kind → how many security events were written down."""
    with database.session() as session:
        return {each.kind: each.total for each in security_events(session, clock.now())}


def made_key(name: str = "shop") -> str:
    with database.session() as session:
        return create_key(session, name, now=clock.now())


def ask(client: TestClient, key: str, path: str = "/api/v1/pages") -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {key}"})


def handshake(client: TestClient, token: str) -> Any:
    given = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "7"}
    return client.get(HOOK, params=given)


def test_nothing_of_a_body_is_read_for_whoever_has_no_key(database_url: str) -> None:
    with TestClient(create_app()) as client:

        def never() -> Any:
            raise AssertionError("the body was read")
            yield b""

        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, "/api/v1/anything", content=never())
            assert answer.status_code == 401


def test_whoever_tries_wrong_keys_too_often_waits(database_url: str, set_environment: Any) -> None:
    set_environment(DULY_FAILURE_RATE="5/minute")
    right = made_key()
    with TestClient(create_app()) as client:
        assert ask(client, right).status_code == 200
        statuses = [ask(client, f"duly_guess{number}").status_code for number in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        refused = ask(client, "duly_guess")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "too_many"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # Whoever was right before is heard from the same address; another address may try.
        assert ask(client, right).status_code == 200
    with TestClient(create_app(), client=("198.51.100.7", 4000)) as elsewhere:
        assert ask(elsewhere, "duly_guess").status_code == 401


def test_a_key_that_was_right_and_is_revoked_is_wrong_at_once(database_url: str) -> None:
    key = made_key()
    with TestClient(create_app()) as client:
        assert ask(client, key).status_code == 200
        with database.session() as session:
            revoke_key(session, "shop", now=clock.now())
        assert ask(client, key).status_code == 401


def test_a_key_has_its_rate_and_a_stop_has_none(
    page: Any, set_environment: Any, say: Any, opted_out: Any, eventually: Any
) -> None:
    set_environment(DULY_KEY_RATE="3/minute", DULY_FAILURE_RATE="1/minute")
    busy, other = made_key("busy"), made_key("other")
    with TestClient(create_app()) as client:
        assert [ask(client, busy).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert ask(client, other).status_code == 200
        for _ in range(3):
            handshake(client, "guess")
            client.post(HOOK, content=b"{}", headers={"X-Hub-Signature-256": "sha256=" + "0" * 64})
        body = envelope(say("7", "STOP"))
        assert client.post(HOOK, content=body, headers={"X-Hub-Signature-256": sign(body, page.secret)}).is_success
        assert opted_out("7")
        # So does the platform's question, wherever it comes from.
        assert handshake(client, VERIFY_TOKEN).text == "7"
        assert handshake(client, "guess").status_code == 429
        eventually(lambda: counted().get("rate_limited", 0) >= 4, what="what was refused being counted")


def test_what_is_tried_is_counted_told_and_never_shown(page: Any, eventually: Any, say: Any) -> None:
    key = made_key()
    tried = ("duly_tried-4711", "token-tried-4712", "0" * 60 + "4713")
    with TestClient(create_app(), client=("203.0.113.7", 4000)) as client, capture_logs() as logs:
        for _ in range(7):
            assert ask(client, tried[0]).status_code == 401
            assert handshake(client, tried[1]).status_code == 403
            body = envelope(say("7", "STOP"))
            client.post(HOOK, content=body, headers={"X-Hub-Signature-256": f"sha256={tried[2]}"})
            client.post(HOOK, content=body)
        expected = {"wrong_key": 7, "wrong_verify_token": 7, "wrong_signature": 14}
        eventually(lambda: counted() == expected, what="all being counted")
        for _ in range(13):
            ask(client, tried[0])
        eventually(lambda: counted()["wrong_key"] == 20, what="the others being counted")
        status = ask(client, key, "/api/v1/ops/status").json()
        metrics = client.get("/metrics").text
    seen = {each["kind"]: (each["recent"], each["total"], each["source"]) for each in status["security"]}
    assert seen["wrong_key"] == (20, 20, "203.0.113.7")
    (alert,) = [each for each in status["alerts"] if each["kind"] == "security"]
    assert alert["words"] == (
        "20 requests came with an unknown or revoked API key in five minutes, many from 203.0.113.7"
    )
    assert 'duly_security_events_total{kind="wrong_key"} 20.0' in metrics
    assert 'duly_security_events_total{kind="wrong_signature"} 14.0' in metrics
    lines = [each for each in logs if each["event"] == "security_event"]
    # A line a kind a minute, however many there were.
    assert sorted(each["kind"] for each in lines) == sorted(expected)
    assert all(list(each["sources"]) == ["203.0.113.7"] for each in lines)
    for secret in tried:
        assert secret not in str(logs) + str(status) + metrics


def test_an_alert_of_security_ends(database_url: str, row: Any) -> None:
    with database.session() as session:
        note_security(session, {"wrong_key": (30, "203.0.113.7")}, 10_000)
        (found,) = security_events(session, 10_010)
        assert (found.alerting, found.recent, found.source) == (True, 30, "203.0.113.7")
        (found,) = security_events(session, 10_400)
        assert (found.alerting, found.total, found.source) == (False, 30, None)
        note_security(session, {"slow_head": (1, "203.0.113.8")}, 20_000)
    # Addresses are forgotten.
    assert row("SELECT string_agg(DISTINCT source, ' ') FROM security_event WHERE source <> ''")[0] == "203.0.113.8"


def test_every_kind_has_words() -> None:
    assert all(words.split()[0] in ("requests", "webhooks", "handshakes", "connections") for words in WORDS.values())


def test_readiness_asked_by_many_is_one_look(
    client: TestClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    check = health.check_revision

    def look(connection: Any) -> None:
        nonlocal looks
        looks += 1
        check(connection)

    monkeypatch.setattr(health, "check_revision", look)
    monkeypatch.setattr(health, "_READY_STANDS", 60.0)
    answers = [client.get("/readyz/webhooks").status_code for _ in range(50)]
    assert set(answers) == {200}
    assert looks == 1
    assert client.get("/readyz").status_code in (200, 503)


def test_a_redirect_tells_nobody_a_host(client: TestClient, api: Any) -> None:
    for path in ("/healthz/", "/docs/", "/webhooks/messenger/", "/api/v1/pages/"):
        answer = client.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
        assert answer.status_code in (401, 404)
        assert "evil.example" not in str(answer.headers) + answer.text


def test_in_production_the_description_and_the_metrics_are_closed(database_url: str, set_environment: Any) -> None:
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    set_environment(DULY_ENV="production", DULY_ENCRYPTION_KEY=key)
    closed = ("/docs", "/openapi.json", "/metrics", "/redoc")
    with TestClient(create_app()) as client:
        assert [client.get(path).status_code for path in closed] == [404] * 4
        assert client.get("/healthz").status_code == 200
    set_environment(DULY_PUBLIC_DOCS="true")
    with TestClient(create_app()) as client:
        assert [client.get(path).status_code for path in closed] == [200, 200, 200, 404]


def test_every_answer_has_the_headers_of_a_page_that_may_do_nothing(page: Any, say: Any) -> None:
    app = create_app()
    # As uvicorn has it where a proxy is trusted.
    behind = TestClient(ProxyHeadersMiddleware(app, ["203.0.113.7"]), client=("203.0.113.7", 1))
    body = envelope(say("7", "hello"))
    signed = {"X-Hub-Signature-256": sign(body, page.secret)}
    by_tls = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.1"}
    with TestClient(app) as client:
        for transport, opened, more in ((False, client, {}), (True, behind, by_tls), (False, client, by_tls)):
            answers = [
                opened.get("/healthz", headers=more),
                opened.get("/nothing", headers=more),
                opened.get("/api/v1/pages", headers=more),
                opened.post(HOOK, content=body, headers=signed | more),
                opened.post(HOOK, content=body, headers=more),
                opened.post("/api/v1/pages", content=b"", headers={"Content-Length": "99999999"} | more),
            ]
            assert [each.status_code for each in answers] == [200, 404, 401, 200, 401, 413]
            for each in answers:
                assert each.headers["content-security-policy"].startswith("default-src 'none'")
                assert ("strict-transport-security" in each.headers) == transport


def test_whoever_is_trusted_says_where_a_request_comes_from(page: Any, eventually: Any) -> None:
    behind = ProxyHeadersMiddleware(create_app(), ["10.0.0.0/8"])
    with TestClient(behind, client=("10.0.0.7", 1)) as client:
        client.get(
            "/api/v1/pages", headers={"Authorization": "Bearer duly_x", "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
        )
        eventually(lambda: counted() == {"wrong_key": 1}, what="it being counted")
    with database.session() as session:
        (found,) = security_events(session, clock.now())
    # What a client wrote in front of what the proxy saw counts for nothing.
    assert found.source == "203.0.113.9"


def test_the_description_names_every_answer(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    keyed = [
        (path, method, operation)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/v1")
    ]
    assert len(keyed) > 50
    for path, method, operation in keyed:
        answers = operation["responses"]
        assert {"400", "401", "404", "422", "429", "500", "503"} <= answers.keys(), (path, method)
        for status, answer in answers.items():
            if int(status) >= 400:
                assert answer["content"] == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, (path, method, status)
    assert "HTTPValidationError" not in str(schema)
