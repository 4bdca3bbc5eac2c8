from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import Session
from starlette.testclient import TestClient
from typer.testing import CliRunner

from scheduler.cli.main import app
from scheduler.outbox.anew import work_off
from scheduler.outbox.beat import record_beat
from scheduler.outbox.skews import tell_skew
from scheduler.outbox.wake import wake_page
from scheduler.pages.tables import Page
from scheduler.throttle_state import throttle_states
from tests.integration.noon import HOUR, NOON
from tests.patience import patience

Queue = Callable[..., None]


@pytest.fixture
def queue(
    session: Session,
    page: Page,
    people: Callable[..., dict[str, int]],
    template: Callable[..., Any],
    rows: Callable[..., list[Any]],
) -> Queue:
    """``queue(30, state="due", deadline=…)``: as many messages of one person."""
    saved = template()
    contact = people("ada")["ada"]

    def put(count: int, *, state: str = "due", lane: str = "promotional", since: int = NOON, **values: Any) -> None:
        given = {"due_at": NOON, "deadline": NOON + HOUR, "reason": None, "wakes_on": None} | values
        rows(
            "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, due_at, deadline, "
            "reason, wakes_on, attempts, crashes, created_at, variables) SELECT :page, :contact, :template, :lane, "
            ":lane, :state, :since, :due_at, :deadline, :reason, :wakes_on, 0, 0, 0, '{}' "
            "FROM generate_series(1, :count) RETURNING id",
            page=page.id, contact=contact, template=saved.id, lane=lane, state=state, since=since, count=count, **given,
        )  # fmt: skip
        session.commit()

    return put


@pytest.fixture
def beating(session: Session, redis_url: str) -> None:
    """Beat ticks."""
    for task in ("tick", "sweep"):
        record_beat(session, task, NOON)
    session.commit()


def test_how_things_stand(api: Callable[..., Any], queue: Queue, beating: None, rows: Callable[..., list[Any]]) -> None:
    queue(3, since=NOON - 1)
    queue(1, lane="utility")
    queue(2, state="scheduled", due_at=NOON + HOUR, reason="quiet_hours")
    queue(4, state="scheduled", due_at=None, reason="handover", wakes_on="handback")
    queue(5, state="unconfirmed")
    seen = api("GET", "/ops/status").json()
    assert seen["messages"] == {"due": {"promotional": 3, "utility": 1}, "scheduled": {"promotional": 6}}
    assert seen["due_oldest_seconds"] == {"promotional": 1, "utility": 0}
    assert seen["held"] == {"exact": True, "waiting": {"quiet_hours": 2}, "parked": {"handover": 4}}
    assert (seen["dead_letters"], seen["exact"]) == ({"unconfirmed": 5}, True)
    assert seen["workers"] == {"names": [], "last_begun": None, "beat_seconds": {"tick": 0, "sweep": 0}}
    assert [(alert["kind"], alert["words"]) for alert in seen["alerts"]] == [
        ("no_workers", "no worker answers"),
        ("dead_letters", "5 dead letters (5 unconfirmed): `duly dead-letter list` shows why"),
    ]
    # Due a moment ahead of the clock that looks.
    queue(1, lane="utility", since=NOON + 1)
    assert min(api("GET", "/ops/status").json()["due_oldest_seconds"].values()) >= 0


def test_a_paused_campaign_is_shown(
    api: Callable[..., Any],
    people: Callable[..., dict[str, int]],
    template: Callable[..., Any],
    beating: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people("ada")
    template("promo", "Hello")
    made = api("POST", "/pages/555/campaigns", {"name": "Spring", "template": "promo", "audience": "everyone"}).json()
    api("POST", f"/campaigns/{made['id']}/launch")
    assert api("GET", "/ops/status").json()["paused"] == []
    api("POST", f"/campaigns/{made['id']}/pause")
    (paused,) = api("GET", "/ops/status").json()["paused"]
    assert paused == {"id": made["id"], "name": "Spring", "page": "555", "since": "2026-05-05T12:00:00Z"}
    monkeypatch.setenv("COLUMNS", "200")
    assert f"campaign {made['id']} Spring of page 555" in CliRunner().invoke(app, ["ops", "status"]).output


def test_what_needs_a_person_is_an_alert(
    api: Callable[..., Any],
    queue: Queue,
    beating: None,
    page: Page,
    rows: Callable[..., list[Any]],
    session: Session,
    redis_url: str,
) -> None:
    queue(1, since=NOON - 600)
    rows(
        "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) SELECT id, contact_id, "
        "page_id, category, :at, 'sent' FROM message RETURNING id",
        at=NOON - 2 * HOUR,
    )
    rows("UPDATE beat SET ran_at = :at WHERE task = 'tick' RETURNING task", at=NOON - 60)
    session.commit()
    assert "stalled" in [alert["kind"] for alert in api("GET", "/ops/status").json()["alerts"]]
    api("POST", "/kill-switch", {"why": "a wrong price"})
    with redis.Redis.from_url(redis_url) as server:
        server.hset(f"duly:breaker:{page.id}", "open", str(server.time()[0] + 30))
    seen = api("GET", "/ops/status").json()
    kinds = {alert["kind"]: alert for alert in seen["alerts"]}
    assert {"kill_switch", "breaker_open", "deaf_page", "beat_silent"} <= set(kinds)
    # Whoever was made to wait does not stand still.
    assert "stalled" not in kinds
    assert kinds["deaf_page"]["page"] == "555"
    assert [each["breaker"] for each in seen["pages"]] == ["open"]
    rows("INSERT INTO platform_event (page_id, kind, dedupe_key, received_at, body) VALUES (:page, 'echo', 'x', :at, "
         "'{}') RETURNING id", page=page.id, at=NOON - HOUR)  # fmt: skip
    rows("UPDATE page SET stopped_at = :at, stopped_reason = 'bad_token' RETURNING id", at=NOON)
    session.commit()
    after = {alert["kind"] for alert in api("GET", "/ops/status").json()["alerts"]}
    assert "deaf_page" not in after
    assert "page_stopped" in after


def test_what_is_being_woken_and_whose_clock_is_wrong_is_shown(
    api: Callable[..., Any], queue: Queue, page: Page, session: Session, client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    queue(3, state="scheduled", due_at=None, reason="page_stopped", wakes_on="page_restored")
    assert page.id is not None
    assert wake_page(session, page.id, NOON, wakes_on="page_restored", limit=2) == 2
    tell_skew(session, "worker-7", 3.25)
    session.commit()
    seen = api("GET", "/ops/status").json()
    assert seen["waking"] == [
        {"page": "555", "campaign": None, "category": None, "wakes_on": "page_restored", "woken": 2,
         "ordered_at": "2026-05-05T12:00:00Z"}
    ]  # fmt: skip
    [alert] = [alert for alert in seen["alerts"] if alert["kind"] == "clock_wrong"]
    assert alert["words"] == "the clock of worker-7 is 3.2 s ahead of the database's: it sends nothing"
    shown = CliRunner().invoke(app, ["ops", "status"]).output
    words = "page 555: what waited for its page to be restored, since 2026-05-05T12:00:00Z, 2 so far"
    assert words in " ".join(shown.split()), shown
    told = client.get("/metrics").text
    assert "duly_waking 1.0" in told
    assert 'duly_clock_ahead_seconds{host="worker-7"} 3.25' in told
    assert work_off(session, NOON).woken == 1
    session.commit()
    assert api("GET", "/ops/status").json()["waking"] == []


def test_what_will_expire_unsent_is_forecast(
    api: Callable[..., Any], queue: Queue, session: Session, page: Page
) -> None:
    # 30 a second come to 27 in the long run on this clock, which hardly moves: rates are of real seconds.
    queue(10, deadline=NOON + HOUR)
    assert api("GET", "/ops/at-risk").json()["at_risk"] == 0
    queue(3, state="scheduled", due_at=None, deadline=NOON + 2 * HOUR, reason="kill_switch", wakes_on="resume")
    page.rate = 30
    page.stopped_at = NOON
    page.stopped_reason = "bad_token"
    session.add(page)
    session.commit()
    seen = api("GET", "/ops/at-risk", hours=3).json()
    assert (seen["at_risk"], seen["until"]) == (10, "2026-05-05T15:00:00Z")
    (lane,) = seen["lanes"]
    assert (lane["page"], lane["waiting"], lane["first_at"]) == ("555", 10, "2026-05-05T13:00:00Z")
    assert (seen["pages"][0]["rate"], seen["pages"][0]["sustained"]) == (30, 0)
    (held,) = seen["held"]
    assert (held["count"], held["reason"], held["first_at"]) == (3, "kill_switch", "2026-05-05T14:00:00Z")
    assert api("GET", "/ops/at-risk", hours=0).status_code == 422


def test_operations_on_the_command_line(queue: Queue, beating: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    queue(2)
    queue(1, state="scheduled", due_at=None, reason="handover", wakes_on="handback")

    def duly(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["ops", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    shown = duly("status")
    assert "promotional 2" in shown
    assert "no worker answers" in shown
    assert json.loads(duly("status", "--json"))["messages"]["due"] == {"promotional": 2}
    assert "nothing that can be sent will run out" in duly("at-risk")
    assert "held, and expire" in duly("at-risk")
    assert json.loads(duly("at-risk", "--json", "--hours", "1"))["at_risk"] == 0


def test_watching_goes_on_as_json_until_somebody_ends_it(queue: Queue, beating: None) -> None:
    queue(2)
    command = [sys.executable, "-m", "scheduler.cli.main", "ops", "status", "--json", "--watch", "--every", "0.5"]
    # Whoever starts the tests in the background of a script has SIGINT ignored, and children inherit that.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        signal.signal(signal.SIGINT, heard)
        assert watching.stdout is not None
        seen: list[Any] = []
        text = ""
        while len(seen) < 2:
            text += watching.stdout.readline()
            try:
                seen.append(json.loads(text))
            except ValueError:
                continue
            text = ""
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
        assert watching.wait(patience(20)) == 0
    assert [each["messages"]["due"] for each in seen] == [{"promotional": 2}] * 2


def test_ready_tells_progress_not_presence(
    client: TestClient, queue: Queue, beating: None, rows: Callable[..., list[Any]], session: Session
) -> None:
    assert client.get("/readyz").json()["status"] == "ready"
    queue(1, since=NOON - 2)
    # The clock stands still: DULY_READY_DUE of its seconds is one.
    stuck = client.get("/readyz")
    assert stuck.status_code == 503
    assert "nothing was ever begun" in stuck.json()["detail"]
    rows(
        "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) SELECT id, contact_id, "
        "page_id, category, :at, 'sending' FROM message RETURNING id",
        at=NOON,
    )
    session.commit()
    assert client.get("/readyz").status_code == 200
    rows("DELETE FROM beat WHERE task = 'tick' RETURNING task")
    session.commit()
    assert "tick has never run" in client.get("/readyz").json()["detail"]


def test_prometheus_is_told_without_anybodys_name(client: TestClient, queue: Queue, beating: None, page: Page) -> None:
    queue(3, since=NOON - 20)
    queue(2, state="refused", reason="invalid_request")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["duly_messages", ("due", "promotional")] == 3
    assert found["duly_due_oldest_seconds", ("promotional",)] == 20
    assert found["duly_dead_letters", ("refused",)] == 2
    assert found["duly_breaker_state", ("555",)] == 0
    assert found["duly_beat_age_seconds", ("tick",)] == 0
    assert (found["duly_database_up", ()], found["duly_redis_up", ()]) == (1, 1)
    labels = {
        name for family in text_string_to_metric_families(answer.text) for s in family.samples for name in s.labels
    }
    kinds = {family.name: family.type for family in text_string_to_metric_families(answer.text)}
    assert kinds["duly_retention_pruned"] == "counter"
    assert "duly_retention_pruned_total" in answer.text
    assert labels <= {"state", "lane", "page", "task", "result", "kind", "le"}


def test_without_servers_it_says_so(
    client: TestClient, database_url: str, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> None:
    set_environment(DULY_REDIS_URL="redis://127.0.0.1:1/0")
    assert throttle_states([1]) is None
    assert client.get("/readyz").json()["detail"] == "Redis does not answer: nothing is sent"
    assert "duly_redis_up 0.0" in client.get("/metrics").text
    set_environment(DULY_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    # What was told stands for two seconds.
    eventually(lambda: "duly_database_up 0.0" in client.get("/metrics").text, what="it being told")
