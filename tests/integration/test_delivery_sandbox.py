"""Deliver to the sandbox over HTTP, with its webhooks coming back to the real web process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.contacts.profiles import want_profile
from scheduler.contacts.registry import ensure_contacts
from scheduler.governance.policies import activate_policy
from scheduler.outbox.sweep import sweep
from scheduler.pages.registry import add_page
from tests.unit.delivery.stage import Stage
from workers.channel import make_channel
from workers.deliver import Channel, Delivery
from workers.profiles import read_profiles

SECRET, VERIFY = "0123456789abcdef", "verify-me"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Town:
    """Sandbox and web process, and a page of the sandbox registered with Duly."""

    def __init__(self, session: Session, sandbox: str, eventually: Callable[..., None]) -> None:
        self.url = sandbox
        self.session = session
        self._eventually = eventually
        self.page = self.get("/sandbox/pages")[0]
        self.now = clock.now()
        page = add_page(
            session, app_external_id=self.page["app_id"], app_secret=SECRET, verify_token=VERIFY,
            external_id=self.page["id"], name=self.page["name"], token=self.page["access_token"], mode="live", rate=39,
            now=self.now,
        )  # fmt: skip
        assert page.id is not None
        activate_policy(session, page.id, load_policy("platform-only"), actor="test", why="test", now=self.now)
        self.page_id = page.id
        self.stage = Stage(session, now=self.now)
        for category in ("promotional", "utility"):
            self.stage.templates[self.page_id, category] = self.stage.one(
                """INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_name,
                       utility_approved, created_at)
                   SELECT :page, name, version, category, default_locale, bodies, utility_name, utility_approved, 0
                   FROM template WHERE id = :id RETURNING id""",
                page=self.page_id,
                id=self.stage.templates[self.stage.page, category],
            )
        session.commit()

    def get(self, path: str) -> Any:
        return requests.get(self.url + path, timeout=10).json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.url + path, json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def person(self, **values: Any) -> str:
        """Somebody whose first message Duly has got."""
        psid = str(self.post("/sandbox/person", page_id=self.page["id"], zone="Africa/Abidjan", **values)["psid"])
        self.post("/sandbox/say", psid=psid, kind="message", text="hello")
        return psid

    def contact(self, psid: str) -> int:
        return int(self.stage.one("SELECT id FROM contact WHERE psid = :psid", psid=psid))

    def message(self, psid: str, **values: Any) -> int:
        self.stage.commit()
        message = self.stage.message(self.contact(psid), **values)
        self.stage.commit()
        return message

    def until(self, message: int, *states: str) -> None:
        def there() -> bool:
            self.stage.commit()
            return self.stage.state(message) in states

        self._eventually(there, seconds=15, what=f"message {message} becoming {' or '.join(states)}")


@pytest.fixture
def town(
    session: Session,
    redis_url: str,
    database_url: str,
    tmp_path: Path,
    set_environment: Callable[..., None],
    eventually: Callable[..., None],
) -> Iterator[Town]:
    web, sandbox = _free_port(), _free_port()
    commands = [
        ["workers.sandbox", "--host", "127.0.0.1", "--port", str(sandbox), "--log", str(tmp_path / "sandbox.jsonl"),
         "--webhook-url", f"http://127.0.0.1:{web}/webhooks/messenger", "--app-secret", SECRET,
         "--verify-token", VERIFY, "--seed", "7", "--script", "none", "--no-fsync"],
        ["uvicorn", "scheduler.api.app:create_app", "--factory", "--host", "127.0.0.1", "--port", str(web)],
    ]  # fmt: skip
    logs = [(tmp_path / f"{number}.log").open("wb") for number in range(len(commands))]
    processes = [
        subprocess.Popen([sys.executable, "-m", *command], env=dict(os.environ), stdout=log, stderr=subprocess.STDOUT)
        for command, log in zip(commands, logs, strict=True)
    ]

    def answers() -> bool:
        try:
            return (
                requests.get(f"http://127.0.0.1:{sandbox}/sandbox/status", timeout=2).ok
                and requests.get(f"http://127.0.0.1:{web}/healthz", timeout=2).ok
            )
        except requests.RequestException:
            return False

    try:
        eventually(answers, seconds=30, what="sandbox and web process answering")
        set_environment(DULY_GRAPH_URL=f"http://127.0.0.1:{sandbox}")
        yield Town(session, f"http://127.0.0.1:{sandbox}", eventually)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(15)
        for log in logs:
            log.close()


@pytest.fixture
def channel(town: Town) -> Iterator[Channel]:
    made = make_channel()
    yield made
    made.pool.shutdown(wait=True, cancel_futures=True)
    made.client.close()
    made.throttle.disconnect()


def _deliver(channel: Channel) -> None:
    Delivery("utility", channel, time_slice=10, idle=0.3).run()


def test_a_message_is_sent_delivered_and_read_and_the_witness_has_nothing_to_say(town: Town, channel: Channel) -> None:
    psids = [town.person() for _ in range(12)]
    messages = [town.message(psid) for psid in psids]
    utility = town.message(psids[0], category="utility")
    _deliver(channel)
    for message in (*messages, utility):
        town.until(message, "delivered", "read")
    verdict = town.get("/sandbox/verdict")
    assert verdict["violations"] == []
    assert verdict["accepted"] == 13
    assert town.stage.one("SELECT count(*) FROM message_log WHERE to_state = 'sent'") == 13


def test_an_answer_lost_after_acceptance_is_settled_by_the_echo(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="reset", count=1, accepted=True, echo=True)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "sent", "delivered", "read")
    assert town.get("/sandbox/verdict")["accepted"] == 1


def test_a_failure_after_acceptance_is_doubt_until_the_echo(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="http500_after_accept", count=1)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "sent", "delivered", "read")
    assert town.get("/sandbox/verdict")["violations"] == []


@pytest.mark.parametrize("accepted", [True, False])
def test_doubt_without_an_echo_ends_unconfirmed_and_is_never_doubled(
    town: Town, channel: Channel, accepted: bool
) -> None:
    psid = town.person()
    town.post("/sandbox/fault", kind="reset", count=1, accepted=accepted, echo=False)
    message = town.message(psid)
    _deliver(channel)
    town.until(message, "in_doubt")
    assert sweep(town.session, clock.now() + 901)["unconfirmed"] == 1
    town.stage.commit()
    _deliver(channel)
    town.until(message, "unconfirmed")
    verdict = town.get("/sandbox/verdict")
    assert (verdict["requests"], verdict["violations"]) == (1, [])


def test_a_person_who_blocks_the_page_is_found_out_once(town: Town, channel: Channel) -> None:
    psid = town.person()
    town.post("/sandbox/say", psid=psid, kind="block")
    first, second = town.message(psid), town.message(psid)
    _deliver(channel)
    town.until(first, "refused")
    town.until(second, "denied")
    assert town.get("/sandbox/verdict")["requests"] == 1


def test_an_opt_out_that_was_acknowledged_is_in_force(town: Town, channel: Channel) -> None:
    psid = town.person()
    message = town.message(psid)
    town.post("/sandbox/say", psid=psid, kind="stop")
    _deliver(channel)
    town.until(message, "denied")
    assert town.get("/sandbox/verdict")["requests"] == 0


def test_wanted_profiles_are_read(town: Town, channel: Channel) -> None:
    known = str(
        town.post(
            "/sandbox/person", page_id=town.page["id"], zone="Asia/Kolkata", evidence="profile_offset", psid="24000001"
        )["psid"]
    )
    shy = str(town.post("/sandbox/person", page_id=town.page["id"], zone="Asia/Kolkata", psid="24000002")["psid"])
    contacts = ensure_contacts(town.session, town.page_id, [known, shy], town.now)
    want_profile(town.session, list(contacts.values()), town.now)
    town.stage.commit()
    assert read_profiles(channel) == 2
    town.stage.commit()
    assert town.stage.one("SELECT utc_offset FROM contact WHERE id = :id", id=contacts[known]) == 330
    rows = town.stage.rows("SELECT contact_id, outcome, done_at IS NOT NULL AS done FROM profile_read")
    assert {row.contact_id: (row.outcome, row.done) for row in rows} == {
        contacts[known]: ("read", True),
        contacts[shy]: ("unavailable", True),
    }
    assert read_profiles(channel) == 0
