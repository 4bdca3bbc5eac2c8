from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient

from scheduler.access.answers import Answer, Request, claim, fingerprint, forget_answers, keep_answer
from scheduler.api import idempotency
from scheduler.errors import Conflict, Invalid
from scheduler.store import database
from tests.patience import patience

TEMPLATE = {
    "name": "idem", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": "15% off"}}
}  # fmt: skip
PAGE = "100200300400"
SWITCH = {"why": "a wrong price"}


@pytest.fixture
def send(client: TestClient, session: Session) -> Callable[..., Any]:
    """``send("POST", "/kill-switch", body, key="k")`` as the holder of a key."""
    from scheduler.access.keys import create_key

    keys = {name: create_key(session, name, now=0) for name in ("one", "two")}
    session.commit()

    def call(method: str, path: str, body: Any = None, *, key: str | bytes | None = "k-1", by: str = "one") -> Any:
        headers = {"Authorization": f"Bearer {keys[by]}"} | ({"Idempotency-Key": key} if key is not None else {})
        return client.request(method, f"/api/v1{path}", json=body, headers=headers)

    return call


def test_a_request_that_is_sent_again_is_answered_as_before_and_does_nothing(send: Callable[..., Any]) -> None:
    first, second = (send("POST", "/kill-switch", SWITCH) for _ in "ab")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["content-type"] == "application/json"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(send("GET", "/kill-switch").json()["items"]) == 1


def test_another_key_or_anothers_key_is_another_request(send: Callable[..., Any], page: object) -> None:
    saved = [
        send("POST", f"/pages/{PAGE}/templates", TEMPLATE, key=key, by=by).json()["version"]
        for key, by in (("a", "one"), ("b", "one"), ("a", "two"), ("b", "one"))
    ]
    assert saved == [1, 2, 3, 2]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/kill-switch", {"why": "another reason"}),
        ("POST", "/kill-switch?x=1", SWITCH),
        ("POST", "/pages", {"id": "555", "name": "Page"}),
        ("DELETE", "/kill-switch/1", None),
    ],
)
def test_a_key_belongs_to_one_request(send: Callable[..., Any], method: str, path: str, body: Any) -> None:
    assert send("POST", "/kill-switch", SWITCH).status_code == 201
    other = send(method, path, body)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] in ("Idempotency-Key", "x")
    assert len(send("GET", "/kill-switch").json()["items"]) == 1


def test_a_request_that_failed_may_be_sent_again_corrected(send: Callable[..., Any]) -> None:
    assert send("POST", "/kill-switch", {"page": "nosuch", "why": "x"}).status_code == 404
    assert send("POST", "/kill-switch", SWITCH).status_code == 201


def test_the_answer_of_one_that_failed_is_not_kept_for_one_that_was_sent_again_meanwhile(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = idempotency._keep

    def another_claims_first(asked: Request, status: int, body: bytes) -> None:
        with database.session() as session:
            assert claim(session, asked, 0) is None
        keep(asked, status, body)

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_keep", another_claims_first)
        assert send("POST", "/kill-switch", {"page": "nosuch", "why": "x"}).status_code == 404
    again = send("POST", "/kill-switch", {"page": "nosuch", "why": "x"})
    assert (again.status_code, again.json()["errors"][0]["field"]) == (409, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "ключ".encode()])
def test_what_cannot_be_a_key_is_refused(send: Callable[..., Any], key: str | bytes) -> None:
    refused = send("POST", "/kill-switch", SWITCH, key=key)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert send("GET", "/kill-switch").json()["items"] == []


def test_an_address_that_cannot_honour_a_key_refuses_it(send: Callable[..., Any], page: object) -> None:
    refused = send("POST", "/pages/555/imports", {"not": "a file"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert "not honoured" in refused.json()["detail"]


def test_every_address_that_changes_something_honours_a_key_save_the_upload(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    without = {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if path.startswith("/api/")
        and method != "get"
        and not any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    }
    assert without == {("post", "/api/v1/pages/{page}/imports")}


def test_two_at_once_are_carried_out_once(database_url: str, session: Session) -> None:
    asked = Request(actor="one", key="k", fingerprint=fingerprint("POST", "/x", b""))
    assert claim(session, asked, 0) is None
    answered: list[object] = []

    def second() -> None:
        with database.session() as other:
            try:
                answered.append(claim(other, asked, 0))
            except Conflict as error:
                answered.append(error.field)

    thread = threading.Thread(target=second)
    thread.start()
    # It waits for this transaction, and then finds a claim whose answer is not known yet.
    session.commit()
    thread.join(timeout=patience(60))
    assert answered == ["Idempotency-Key"]


def test_a_claim_that_is_rolled_back_was_none(session: Session) -> None:
    asked = Request(actor="one", key="k", fingerprint=b"x")
    assert claim(session, asked, 0) is None
    session.rollback()
    assert claim(session, asked, 0) is None
    keep_answer(session, asked, Answer(status=201, body='{"psid": "4711"}'))
    assert claim(session, asked, 0) == Answer(status=201, body='{"psid": "4711"}')
    with pytest.raises(Invalid, match="another request"):
        claim(session, Request(actor="one", key="k", fingerprint=b"y"), 0)


def test_an_answer_about_somebody_who_is_erased_is_not_kept_and_its_request_not_repeated(session: Session) -> None:
    for key, body in (("a", '{"psid": "4711"}'), ("b", '{"psid": "4712"}')):
        asked = Request(actor="one", key=key, fingerprint=b"x")
        assert claim(session, asked, 0) is None
        keep_answer(session, asked, Answer(status=201, body=body))
    assert forget_answers(session, ["4711"]) == 1
    assert forget_answers(session, []) == 0
    assert session.execute(text("SELECT body FROM api_answer ORDER BY id")).scalars().all() == [
        None,
        '{"psid": "4712"}',
    ]
    with pytest.raises(Conflict, match="was not kept"):
        claim(session, Request(actor="one", key="a", fingerprint=b"x"), 0)
