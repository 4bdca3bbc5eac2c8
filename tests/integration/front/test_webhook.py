from __future__ import annotations

import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from scheduler import clock
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import ensure_contacts
from scheduler.store import database

URL = "/webhooks/messenger"


def _signature(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_handshake_gives_the_challenge_back_for_a_known_token_only(page: Any, client: TestClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    answer = client.get(URL, params={**asked, "hub.verify_token": "letmein-8461"})
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert client.get(URL, params={**asked, "hub.verify_token": "letmein-8462"}).status_code == 403
    assert client.get(URL, params=asked).status_code == 403
    assert client.get(URL).status_code == 403
    mode = {**asked, "hub.mode": "unsubscribe", "hub.verify_token": "letmein-8461"}
    refused = client.get(URL, params=mode)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "header",
    [
        None,  # none at all
        "",  # empty
        "sha256=",  # no digits
        "sha256=" + "0" * 64,  # well formed, and wrong
        "sha256=" + "g" * 64,  # not hexadecimal
        "sha1=" + "0" * 40,  # the legacy header's form
        "0" * 64,  # no scheme
    ],
)
def test_without_a_good_signature_nothing_is_read(page: Any, client: TestClient, row: Any, header: str | None) -> None:
    body = b'{"object": "page", "entry": [{"id": "100200300400", "messaging": [{"message": {"text": "STOP"}}]}]}'
    headers = {} if header is None else {"X-Hub-Signature-256": header}
    answer = client.post(URL, content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"
    assert row("SELECT count(*) FROM platform_event")[0] == 0


def test_a_changed_byte_breaks_the_signature(page: Any, client: TestClient, say: Any) -> None:
    body = json.dumps({"object": "page", "entry": []}).encode()
    headers = {"X-Hub-Signature-256": _signature(body, page.secret)}
    assert client.post(URL, content=body, headers=headers).status_code == 200
    assert client.post(URL, content=body + b" ", headers=headers).status_code == 401


def test_an_uppercase_signature_is_the_same_signature(page: Any, client: TestClient) -> None:
    body = b'{"object": "page", "entry": []}'
    header = _signature(body, page.secret).replace("sha256=", "").upper()
    assert client.post(URL, content=body, headers={"X-Hub-Signature-256": f"sha256={header}"}).status_code == 200


def test_the_signature_is_over_the_bytes_with_their_escapes(page: Any, deliver: Any, say: Any, row: Any) -> None:
    # The platform escapes what is not ASCII and signs that; reading and writing it again would give other bytes.
    words = "\\u00e4\\u00f6\\u00e5 \\ud83d\\ude00 \\/"
    raw = json.dumps({"object": "page", "entry": [{"id": page.external_id, "messaging": [say("7", "WORDS")]}]})
    answer = deliver(raw=raw.replace("WORDS", words).encode())
    assert answer.json() == {"received": 1, "known": 0, "failed": 0}
    assert row("SELECT body->'message'->>'text' FROM platform_event")[0] == "äöå 😀 /"


def test_the_same_body_unescaped_is_verified_just_as_well(page: Any, deliver: Any, say: Any) -> None:
    body = json.dumps(
        {"object": "page", "entry": [{"id": page.external_id, "messaging": [say("7", "äöå 😀")]}]}, ensure_ascii=False
    )
    assert deliver(raw=body.encode()).json()["received"] == 1


def test_any_app_of_ours_may_sign_but_only_for_its_own_pages(
    page: Any, deliver: Any, say: Any, api: Any, row: Any
) -> None:
    other = {
        "external_id": "555", "name": "Other", "token": "EAAtoken", "app_external_id": "900200",
        "app_secret": "f1ce" * 8, "verify_token": "verify-me",
    }  # fmt: skip
    assert api("POST", "/pages", other).status_code == 201
    assert deliver(say("7"), secret="f1ce" * 8).json() == {"received": 1, "known": 0, "failed": 1}
    assert row("SELECT page_id, error FROM platform_event") == (
        None, "its page is not registered with the app that signed it",
    )  # fmt: skip
    assert row("SELECT count(*) FROM contact")[0] == 0
    assert deliver({**say("7"), "recipient": {"id": "555"}}, secret="f1ce" * 8, page="555").json()["failed"] == 0


def test_one_app_cannot_take_anothers_event_away_by_sending_it_first(
    page: Any, deliver: Any, say: Any, api: Any
) -> None:
    other = {
        "external_id": "555", "name": "Other", "token": "EAAtoken", "app_external_id": "900200",
        "app_secret": "f1ce" * 8, "verify_token": "verify-me",
    }  # fmt: skip
    api("POST", "/pages", other)
    event = say("7", "STOP")
    deliver(event, secret="f1ce" * 8)
    assert deliver(event).json() == {"received": 1, "known": 0, "failed": 0}


def test_a_secret_that_cannot_be_unsealed_silences_its_own_app_alone(
    page: Any, deliver: Any, say: Any, client: TestClient, session: Session
) -> None:
    session.execute(
        text(
            "INSERT INTO app (id, external_id, secret_sealed, verify_token_sealed, created_at) "
            "VALUES (0, '900200', 'lost', 'lost', 0)"
        )
    )
    session.commit()
    with capture_logs() as said:
        assert [deliver(say(psid)).json() for psid in "78"] == [{"received": 1, "known": 0, "failed": 0}] * 2
    complaints = [line for line in said if line["event"] == "app_secret_unreadable"]
    assert [(line["log_level"], line["app"]) for line in complaints] == [("error", 0)]
    # It may be the lost one that signed this: whoever sent it is to try again.
    refused = deliver(say("9"), secret="f1ce" * 8)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    asked = {"hub.mode": "subscribe", "hub.verify_token": "letmein-8461", "hub.challenge": "17"}
    assert client.get("/webhooks/messenger", params=asked).text == "17"


def test_a_body_over_the_limit_is_not_read(page: Any, deliver: Any, client: TestClient, set_environment: Any) -> None:
    set_environment(DULY_WEBHOOK_MAX_BYTES="2048")
    answer = deliver(raw=b" " * 2049)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert deliver(raw=b'{"entry": []}' + b" " * 2000).status_code == 200

    def chunks() -> Any:
        yield from [b" " * 1024] * 3

    # Without a length there is only counting.
    header = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert client.post(URL, content=chunks(), headers=header).status_code == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",  # words
        b"",  # nothing
        b"\xff\xfe{}",  # not UTF-8
        b"[" * 100_000,  # deeper than anybody reads
        b'{"entry": 1e999999999999999999}',  # not a list, and no number either
        b"null",  # JSON, and no object
        b'"STOP"',  # a string
        b'{"object": "page"}',  # without entries
        b'{"object": "page", "entry": {}}',  # entries that are no list
    ],
)
def test_a_signed_body_that_cannot_be_read_is_kept_and_answered(page: Any, deliver: Any, row: Any, raw: bytes) -> None:
    answer = deliver(raw=raw)
    assert (answer.status_code, answer.json()["failed"]) == (200, 1)
    assert row("SELECT error IS NOT NULL, applied_at FROM platform_event") == (True, None)
    assert deliver(raw=raw).json()["known"] == 1


def test_an_opt_out_is_in_force_when_it_is_acknowledged(page: Any, deliver: Any, say: Any, row: Any) -> None:
    answer = deliver(say("7", "STOP"))
    # Another connection sees it at once: it was committed before the answer.
    assert row(
        "SELECT reason FROM suppression JOIN contact c ON c.id = contact_id WHERE psid = '7' AND lifted_at IS NULL"
    ) == ("opted_out",)
    assert answer.status_code == 200


def test_when_the_database_fails_nothing_is_acknowledged(page: Any, deliver: Any, say: Any, row: Any) -> None:
    with Session(database.engine()) as session:
        session.connection().execute(text("ALTER TABLE suppression RENAME TO elsewhere"))
        session.commit()
        event = say("7", "STOP")
        answer = deliver(event)
        assert answer.status_code >= 500
        assert "suppression" not in answer.text
        assert row("SELECT count(*) FROM platform_event")[0] == 0
        session.connection().execute(text("ALTER TABLE elsewhere RENAME TO suppression"))
        session.commit()
    assert deliver(event).json() == {"received": 1, "known": 0, "failed": 0}


def test_two_webhooks_about_the_same_people_in_opposite_orders_both_pass(
    page: Any, deliver: Any, say: Any, row: Any, eventually: Any
) -> None:
    with Session(database.engine()) as session:
        people = ensure_contacts(session, page.id, ["1", "2"], clock.now())
        session.commit()
        # Somebody holds one of them, so that both requests are under way together and meet.
        lock_contacts(session, [people["1"]])
        with ThreadPoolExecutor(2) as pool:
            there = pool.submit(deliver, say("1"), say("2", "STOP"))
            back = pool.submit(deliver, say("2"), say("1", "STOP"))
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            eventually(lambda: row(waiting)[0] == 2, what="both requests wait")
            session.commit()
            assert (there.result().status_code, back.result().status_code) == (200, 200)
    assert row("SELECT count(*) FROM suppression")[0] == 2


def test_many_webhooks_at_once_lose_and_double_nothing(page: Any, deliver: Any, say: Any, row: Any) -> None:
    people = [str(number) for number in range(12)]
    events = [say(psid) for psid in people]
    gate = threading.Barrier(4)

    def send(order: int) -> list[int]:
        gate.wait()
        return [
            deliver(*(events if order % 2 else reversed(events)), say(people[order], "again")).status_code
            for _ in range(5)
        ]

    with ThreadPoolExecutor(4) as pool:
        answers = [status for statuses in pool.map(send, range(4)) for status in statuses]
    assert set(answers) == {200}
    assert row("SELECT count(*), count(DISTINCT psid) FROM platform_event WHERE applied_at IS NOT NULL") == (32, 12)
    assert row("SELECT count(*), count(last_inbound_at) FROM contact") == (12, 12)


def test_copies_that_come_at_the_same_moment_are_applied_once(page: Any, deliver: Any, say: Any, row: Any) -> None:
    event = say("7", "STOP")
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.json() for answer in pool.map(lambda _: deliver(event), range(4))]
    assert sorted(answer["received"] for answer in answers) == [0, 0, 0, 1]
    assert row("SELECT count(*) FROM consent_record")[0] == 1
