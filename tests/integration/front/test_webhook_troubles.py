"""Webhooks that are refused or not understood are counted by page and reason, and shown before they are many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from scheduler import clock
from scheduler.api.app import create_app
from scheduler.api.webhook_troubles import Counted, Troubles
from scheduler.api.webhooks_told import WORDS
from scheduler.cli.main import app as duly
from scheduler.inbox.troubles import NO_PAGE, REASONS, note_troubles, troubles
from scheduler.pages.registry import add_page
from scheduler.store import database
from tests.integration.front.conftest import PAGE, SECRET, envelope, sign

URL = "/webhooks/messenger"
Api = Callable[..., Any]


def counted(reason: str) -> dict[str | None, int]:
    """Page → how many webhooks were counted for the reason."""
    with database.session() as session:
        return {each.page: each.total for each in troubles(session, clock.now()) if each.reason == reason}


def alerts(api: Api) -> list[tuple[str, str | None]]:
    return [
        (alert["kind"], alert["page"])
        for alert in api("GET", "/ops/status").json()["alerts"]
        if alert["kind"].startswith("webhooks")
    ]


def test_three_webhooks_signed_with_a_wrong_secret_are_an_alert_of_their_page(
    page: Any, deliver: Any, say: Any, api: Api, client: TestClient, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever entered a wrong app secret hears no STOP, and no page tells them."""
    monkeypatch.setenv("COLUMNS", "200")
    for _ in range(2):
        assert deliver(say("7", "STOP"), secret="f1ce" * 8).status_code == 401
    eventually(lambda: counted("bad_signature") == {PAGE: 2}, what="two of them counted")
    assert alerts(api) == []
    deliver(say("7", "STOP"), secret="f1ce" * 8)
    eventually(lambda: counted("bad_signature") == {PAGE: 3}, what="all three counted")
    assert alerts(api) == [("webhooks_refused", PAGE)]
    seen = api("GET", "/ops/status").json()
    assert [(each["page"], each["reason"], each["recent"], each["total"]) for each in seen["webhooks"]] == [
        (PAGE, "bad_signature", 3, 3)
    ]
    shown = " ".join(CliRunner().invoke(duly, ["ops", "status"]).output.split())
    assert f"! page {PAGE}: 3 webhooks in five minutes were not signed with its app's secret" in shown
    assert f"page {PAGE}: bad_signature 3 in five minutes, 3 ever" in shown
    assert samples(client)[PAGE, "bad_signature"] == 3
    # What is signed as it should be changes nothing about it.
    assert deliver(say("7", "hello")).status_code == 200
    assert alerts(api) == [("webhooks_refused", PAGE)]


def samples(client: TestClient) -> dict[tuple[str, str], float]:
    """(page, reason) → the counter that Prometheus is told."""
    return {
        (sample.labels["page"], sample.labels["reason"]): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "duly_webhook_troubles_total"
    }


def test_an_alert_ends_when_five_minutes_have_passed(page: Any) -> None:
    with database.session() as session:
        note_troubles(session, {(page.id, "bad_signature"): 2, (NO_PAGE, "too_large"): 9}, 1_000_000)
        note_troubles(session, {(page.id, "bad_signature"): 1}, 1_000_100)
        assert [each.alerting for each in troubles(session, 1_000_100)] == [True, False]
        assert [each.alerting for each in troubles(session, 1_000_299)] == [True, False]
        (first, _) = troubles(session, 1_000_301)
        assert (first.alerting, first.recent, first.total, first.last_at) == (False, 1, 3, 1_000_100)
        # Rows of the last hour alone are kept, and the sums.
        note_troubles(session, {(page.id, "unsigned"): 1}, 1_010_000)
        assert session.execute(text("SELECT count(*) FROM webhook_trouble WHERE at > 0")).scalar_one() == 1
        assert {each.reason: each.total for each in troubles(session, 1_010_000)} == {
            "unsigned": 1, "bad_signature": 3, "too_large": 9,
        }  # fmt: skip


def test_several_web_processes_count_together_and_a_restart_forgets_nothing(
    page: Any, say: Any, client: TestClient, eventually: Any
) -> None:
    body = envelope(say("7", "STOP"))
    client.post(URL, content=body, headers={"X-Hub-Signature-256": sign(body, "e1fa" * 8)})
    eventually(lambda: counted("bad_signature") == {PAGE: 1}, what="the first counted")
    with TestClient(create_app()) as second:
        for _ in range(2):
            second.post(URL, content=body, headers={"X-Hub-Signature-256": sign(body, "e1fa" * 8)})
    # It has ended: what it counted is written.
    assert counted("bad_signature") == {PAGE: 3}
    assert samples(client)[PAGE, "bad_signature"] == 3


def test_what_strangers_send_is_counted_and_wakes_nobody(
    page: Any, api: Api, client: TestClient, eventually: Any
) -> None:
    for body in (b"", b"junk", b'{"entry": [{"id": "999"}]}', b'{"id": "' + b"9" * 500 + b'"}'):
        assert (
            client.post(URL, content=body, headers={"X-Hub-Signature-256": sign(body, "e1fa" * 8)}).status_code == 401
        )
    eventually(lambda: counted("bad_signature") == {None: 4}, what="them counted")
    assert alerts(api) == []
    assert samples(client)["", "bad_signature"] == 4
    # Names that are not registered make no labels: nobody can fill Prometheus up.
    assert {page for page, _ in samples(client)} == {""}


def test_what_came_without_a_signature_or_was_too_large_is_its_pages(
    page: Any, api: Api, client: TestClient, say: Any, eventually: Any, set_environment: Any
) -> None:
    set_environment(DULY_WEBHOOK_MAX_BYTES="2000")
    body = envelope(say("7", "STOP"))
    large = envelope(say("7", "x" * 3000))

    def in_parts() -> Any:
        for start in range(0, len(large), 500):
            yield large[start : start + 500]

    for _ in range(3):
        assert client.post(URL, content=body).status_code == 401
    signed = {"X-Hub-Signature-256": sign(large, SECRET)}
    assert client.post(URL, content=large, headers=signed).status_code == 413
    for _ in range(2):
        assert client.post(URL, content=in_parts(), headers=signed).status_code == 413
    eventually(lambda: counted("unsigned") == {PAGE: 3}, what="those without a signature counted")
    eventually(lambda: counted("too_large") == {PAGE: 3}, what="those that are too large counted")
    assert alerts(api) == [("webhooks_refused", PAGE)] * 2


def test_a_flood_costs_a_handful_of_rows_and_its_page_is_still_found(
    page: Any, api: Api, client: TestClient, say: Any, eventually: Any, row: Any
) -> None:
    junk, ours = b'{"entry": []}', envelope(say("7", "STOP"))

    def post(number: int) -> int:
        body = ours if number % 10 == 0 else junk
        return client.post(URL, content=body, headers={"X-Hub-Signature-256": sign(body, "e1fa" * 8)}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(post, range(600))) == {401}
    eventually(lambda: sum(counted("bad_signature").values()) == 600, what="all of them counted")
    assert row("SELECT count(*) FROM webhook_trouble")[0] <= 2 + 2 * 12
    # Of those looked through, a tenth are the page's.
    assert 3 <= counted("bad_signature")[PAGE] <= 60
    assert alerts(api) == [("webhooks_refused", PAGE)]


def test_a_body_for_two_pages_counts_for_both(page: Any, client: TestClient, eventually: Any) -> None:
    with database.session() as session:
        add_page(
            session, app_external_id="900100", app_secret=SECRET, verify_token="letmein-8461",
            external_id="555", name="Other", token="EAAtoken", mode="live", rate=30, now=clock.now(),
        )  # fmt: skip
    body = json.dumps({"object": "page", "entry": [{"id": 555, "messaging": []}, {"id": PAGE}]}).encode()
    client.post(URL, content=body, headers={"X-Hub-Signature-256": sign(body, "e1fa" * 8)})
    eventually(lambda: counted("bad_signature") == {"555": 1, PAGE: 1}, what="both counted")


def test_what_could_not_be_written_down_is_counted_later_and_once(page: Any) -> None:
    with database.session() as session:
        session.execute(text("ALTER TABLE webhook_trouble RENAME TO away"))
    body = json.dumps({"entry": [{"id": PAGE}]}).encode()
    asked = Troubles()
    assert not asked._do(Counted(refused=Counter(unsigned=1), bodies={"unsigned": [body]}))
    with database.session() as session:
        session.execute(text("ALTER TABLE away RENAME TO webhook_trouble"))
    left = asked._take()
    assert left is not None
    assert asked._do(left)
    # The body that named the page is gone.
    assert counted("unsigned") == {None: 1}
    assert asked._take() is None


@pytest.mark.parametrize(
    ("body", "reason", "pages"),
    [
        ({"object": "page", "entry": [{"id": PAGE, "time": 1, "changes": [{"field": "brand_new", "value": {"a": N}}]}
                                      for N in range(3)]}, "unknown_field", {PAGE: 3}),
        ({"object": "page", "entry": [{"id": PAGE, "messaging": [{"sender": {"id": "7"}, "brand_new": {"a": N}}]}
                                      for N in range(3)]}, "unknown_event", {PAGE: 3}),
        ({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": N, "changes": [{"field": "messages",
          "value": {"messages": [{"from": "1", "text": {"body": "STOP"}}]}}]} for N in range(3)]},
         "unknown_object", {None: 3}),
        ({"object": "page", "entry": [{"id": "313", "messaging": [{"sender": {"id": "7"}, "message": {"mid": f"{N}"}}]}
                                      for N in range(3)]}, "unknown_page", {None: 3}),
        ({"object": "page", "entry": [{"id": PAGE, "messaging": [{"sender": {"id": "7"}, "message": {"mid": str(N),
          "text": 5}}]} for N in range(3)]}, "not_applied", {PAGE: 3}),
        ({"object": "page", "entry": [{"id": PAGE, "messaging": N} for N in range(1, 4)]}, "unreadable", {PAGE: 3}),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)  # fmt: skip
def test_what_is_signed_and_not_understood_is_counted_and_an_alert(
    page: Any, deliver: Any, api: Api, eventually: Any, body: Any, reason: str, pages: dict[str | None, int]
) -> None:
    raw = json.dumps(body).encode()
    assert deliver(raw=raw).status_code == 200
    eventually(lambda: counted(reason) == pages, what="it counted")
    (alert,) = alerts(api)
    assert alert == ("webhooks_not_understood", next(iter(pages)))
    # A copy is no news: what is counted after it was new.
    assert deliver(raw=raw).json()["known"] == 3
    assert deliver(raw=raw.replace(b'"object": "page"', b'"object": "user"')).status_code == 200
    eventually(lambda: sum(counted("unknown_object").values()) >= 3, what="what came later counted")
    assert sum(counted(reason).values()) == 3


def test_a_stop_that_comes_as_a_change_is_in_force_once_it_is_acknowledged(
    page: Any, deliver: Any, say: Any, happen: Any, opted_out: Any, contact: Any
) -> None:
    for psid, event in (
        ("7", say("7", "STOP")),
        ("8", happen("8", postback={"mid": "p", "title": "Stop", "payload": "STOP"})),
    ):
        change = {"field": "messages", "value": {**event, "timestamp": str(clock.now())}}
        body = {"object": "page", "entry": [{"id": PAGE, "time": clock.now(), "changes": [change]}]}
        assert deliver(raw=json.dumps(body).encode()).json() == {"received": 1, "known": 0, "failed": 0}
        assert opted_out(psid)
        # The same message in its usual wrapping is known by now.
        if psid == "7":
            assert deliver(event).json()["known"] == 1


def test_what_may_be_a_stop_in_no_known_shape_holds_its_person_and_is_listed(
    page: Any, deliver: Any, api: Api, contact: Any, eventually: Any
) -> None:
    event = {
        "sender": {"id": "7"},
        "recipient": {"id": PAGE},
        "timestamp": clock.now() * 1000,
        "note": {"text": "STOP"},
    }
    assert deliver(event).json()["failed"] == 1
    assert contact("7", "held_at")[0] is not None
    (failed,) = api("GET", "/failed-events").json()["items"]
    assert (failed["psid"], failed["error"]) == ("7", "it may be an opt-out, in a shape that is not understood")
    eventually(lambda: counted("unknown_event") == {PAGE: 1}, what="it counted")


def test_every_reason_has_its_words() -> None:
    assert set(WORDS) == set(REASONS)


def _event(number: int, words: str, **more: Any) -> dict[str, Any]:
    return {
        "sender": {"id": f"98{number:014d}"}, "recipient": {"id": PAGE}, "timestamp": clock.now() * 1000,
        "message": {"mid": f"m_{number}_{'k' * 90}", "text": words, **more},
    }  # fmt: skip


def test_a_batch_of_a_thousand_events_of_the_longest_is_taken(
    page: Any, deliver: Any, row: Any, opted_out: Any
) -> None:
    """What the platform may send at once: as many texts of nearly 2,000 characters, escaped, with attachments."""
    picture = {
        "type": "image",
        "payload": {"url": "https://scontent.example/v/t1.15752-9/" + "a" * 700, "sticker_id": 1},
    }
    events = [_event(number, "\u017c\U0001f600" * 660, attachments=[picture] * 3) for number in range(999)]
    events.append(_event(999, "STOP"))
    raw = json.dumps({"object": "page", "entry": [
        {"id": PAGE, "time": clock.now() * 1000, "messaging": [event]} for event in events]}).encode()  # fmt: skip
    assert 13_000_000 < len(raw) < 16_777_216
    assert deliver(raw=raw).json() == {"received": 1000, "known": 0, "failed": 0}
    assert row("SELECT count(*) FROM contact WHERE last_inbound_at IS NOT NULL")[0] == 1000
    assert opted_out(f"98{999:014d}")
