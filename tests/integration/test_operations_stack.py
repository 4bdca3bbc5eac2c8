"""What operators rely on, on the whole stack: a request's way through the logs, counters, readiness, a kill switch."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.governance.policies import activate_policy
from scheduler.pages.registry import add_page
from scheduler.store import database
from scheduler.supervise.stack import SandboxOptions, SandboxSecrets, Stack
from tests.daytime import zone_at_noon
from tests.patience import patience

pytestmark = pytest.mark.timeout(240)

PEOPLE = 60


@pytest.fixture
def stack(tmp_path: Path, set_environment: Callable[..., None]) -> Iterator[Stack]:
    set_environment(DULY_DATA_DIR=str(tmp_path / "data"), DULY_WORKER_CHILDREN="1", DULY_LOG_FORMAT="json")
    options = SandboxOptions(people=0, script="none", fsync=False)
    with Stack(
        data_dir=tmp_path / "data", port=0, sandbox=options, embedded=True, durable=False, throwaway=True
    ) as started:
        yield started


def _shop(stack: Stack) -> str:
    """A page of the sandbox that sends five a second, and people who wrote to it; its id."""
    page: dict[str, Any] = requests.get(f"{stack.sandbox_url}/sandbox/pages", timeout=patience(10)).json()[0]
    shared = SandboxSecrets.of(stack.data_dir)
    with database.session() as session:
        made = add_page(
            session, app_external_id=page["app_id"], app_secret=shared.app_secret, verify_token=shared.verify_token,
            external_id=page["id"], name=page["name"], token=page["access_token"], mode="live", rate=5,
            now=clock.now(),
        )  # fmt: skip
        assert made.id is not None
        activate_policy(session, made.id, load_policy("platform-only"), actor="t", why="t", now=clock.now())

    zone = zone_at_noon(clock.now())

    def meet(_: int) -> None:
        person = requests.post(
            f"{stack.sandbox_url}/sandbox/person", json={"page_id": page["id"], "zone": zone}, timeout=patience(20)
        ).json()
        said = {"psid": person["psid"], "kind": "message", "text": "hello"}
        requests.post(f"{stack.sandbox_url}/sandbox/say", json=said, timeout=patience(20)).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(meet, range(PEOPLE)))
    return str(page["id"])


def _one(query: str, **values: object) -> Any:
    with Session(database.engine()) as session:
        return session.execute(text(query), values).scalar_one()


def _lines(stack: Stack, name: str, wanted: str) -> list[dict[str, Any]]:
    lines = stack.log_of(name).read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if wanted in line and line.startswith("{")]


def test_a_campaign_is_followed_stopped_and_resumed(stack: Stack, eventually: Callable[..., None]) -> None:
    page = _shop(stack)
    eventually(lambda: _one("SELECT count(*) FROM contact") == PEOPLE, seconds=30, what="everybody known")
    with database.session() as session:
        key = create_key(session, "anna", now=clock.now())
    headers = {"Authorization": f"Bearer {key}"}

    def api(method: str, path: str, body: object = None, **more: str) -> Any:
        answer = requests.request(
            method, f"{stack.web_url}/api/v1{path}", json=body, headers=headers | more, timeout=patience(30)
        )
        assert answer.ok, answer.text
        return answer

    eventually(
        lambda: requests.get(f"{stack.web_url}/readyz", timeout=patience(5)).ok, seconds=30, what="everything ready"
    )
    template = {"name": "hello", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": "Hello"}}}
    api("POST", f"/pages/{page}/templates", template)
    campaign = api("POST", f"/pages/{page}/campaigns", {"name": "c", "template": "hello", "audience": "everyone"})
    launched = api("POST", f"/campaigns/{campaign.json()['id']}/launch", **{"X-Request-ID": "spring-7f3a"})
    assert launched.headers["X-Request-ID"] == "spring-7f3a"
    # What could be taken for somebody's id is not used.
    assert api("GET", "/pages", **{"X-Request-ID": "12345678901234567"}).headers["X-Request-ID"] != "12345678901234567"

    eventually(lambda: _one("SELECT count(*) FROM attempt") >= 8, seconds=30, what="messages going out")
    seen = api("GET", f"/kill-switch/radius?page={page}").json()
    assert seen["exact"]
    assert 0 < seen["messages"] < PEOPLE
    switch = api("POST", "/kill-switch", {"page": page, "why": "a wrong price"}).json()
    stopped_at = clock.now()
    eventually(lambda: clock.now() >= stopped_at + 4, seconds=10, what="four seconds")
    assert _one("SELECT max(begun_at) FROM attempt") <= stopped_at + 1
    eventually(
        lambda: _one("SELECT count(*) FROM message WHERE state IN ('due', 'sending', 'in_doubt')") == 0,
        seconds=10, what="all others parked",
    )  # fmt: skip
    status = api("GET", "/ops/status").json()
    assert [alert["kind"] for alert in status["alerts"]] == ["kill_switch"]
    assert status["held"]["parked"]["kill_switch"] > 0
    assert status["workers"]["names"] == [f"duly@{socket.gethostname()}"]

    api("DELETE", f"/kill-switch/{switch['id']}")
    eventually(
        lambda: _one("SELECT count(*) FROM message WHERE state IN ('sent', 'delivered', 'read')") == PEOPLE,
        seconds=60, what="everybody's message",
    )  # fmt: skip
    verdict = requests.get(f"{stack.sandbox_url}/sandbox/verdict", timeout=patience(10)).json()
    assert (verdict["accepted"], verdict["violations"]) == (PEOPLE, [])

    (call,) = _lines(stack, "web", "spring-7f3a")
    assert (call["event"], call["status"], call["route"].endswith("/campaigns/{id}/launch")) == ("request", 200, True)

    def told() -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for line in _lines(stack, "worker", "spring-7f3a"):
            found.setdefault(line["event"], []).append(line)
        return found

    def settled() -> set[int]:
        return {id_ for line in told().get("settled", []) for ids in line["attempts"].values() for id_ in ids}

    # Some may have been given back unsent, and begun again.
    with database.session() as session:
        attempts = set(session.execute(text("SELECT id FROM attempt")).scalars())
    eventually(lambda: settled() == attempts, seconds=10, what="every outcome in the log")
    assert sum(line["states"]["scheduled"] for line in told()["planned"]) == PEOPLE
    began = [line for line in told()["decided"] if line["state"] == "sending"]
    assert {id_ for line in began for id_ in line["attempts"]} == settled()
    assert any(line["reasons"] == ["kill_switch"] for line in told()["decided"])

    families = text_string_to_metric_families(requests.get(f"{stack.web_url}/metrics", timeout=patience(10)).text)
    counted = {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}
    ended = {labels: value for (name, labels), value in counted.items() if name == "duly_attempts_total"}
    assert sum(value for labels, value in ended.items() if "sent" in labels) == PEOPLE
    assert counted["duly_send_seconds_count", ()] >= PEOPLE
