"""docs/restore.md, played on the whole stack: dumped, sent, loaded, held, settled, released; the witness counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.governance.policies import activate_policy
from scheduler.outbox.ledger import faults
from scheduler.pages.registry import add_page
from scheduler.store import database
from scheduler.store.redis_server import free_port
from scheduler.supervise.stack import Stack
from tests.daytime import zone_at_noon
from tests.integration.sandbox_process import SECRET, VERIFY, Sandbox, running
from tests.patience import patience

pytestmark = pytest.mark.timeout(600)

PEOPLE = 40
ACCEPTED = ("sent", "delivered", "read")


@dataclass
class _Address:
    url: str


@contextmanager
def _stack(folder: Path, port: int, platform: str) -> Iterator[Stack]:
    with Stack(
        data_dir=folder / "data", port=port, environment={"DULY_GRAPH_URL": platform}, embedded=True, durable=False
    ) as started:
        yield started


def _duly(folder: Path, *words: str, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DULY_")}
    done = subprocess.run(
        [sys.executable, "-m", "scheduler.cli.main", *words], capture_output=True, text=True, check=False,
        env={**environment, "DULY_DATA_DIR": str(folder / "data")}, timeout=patience(60),
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _one(query: str) -> Any:
    with Session(database.engine()) as session:
        return session.execute(text(query)).scalar_one()


def _shop(sandbox: Sandbox) -> tuple[str, str, list[str]]:
    """(page, key, people) of a page that sends ten a second."""
    page = sandbox.page
    with database.session() as session:
        made = add_page(
            session, app_external_id=page["app_id"], app_secret=SECRET, verify_token=VERIFY, external_id=page["id"],
            name=page["name"], token=page["access_token"], mode="live", rate=10, now=clock.now(),
        )  # fmt: skip
        assert made.id is not None
        activate_policy(session, made.id, load_policy("platform-only"), actor="t", why="t", now=clock.now())
        key = create_key(session, "anna", now=clock.now())
    zone = zone_at_noon(clock.now())

    def meet(_: int) -> str:
        psid = sandbox.person(zone=zone)
        sandbox.post("say", psid=psid, kind="message", text="hello")
        return psid

    with ThreadPoolExecutor(8) as pool:
        return str(page["id"]), key, list(pool.map(meet, range(PEOPLE)))


def test_a_restored_database_sends_nothing_twice_and_loses_nothing(  # noqa: PLR0915 - one story
    tmp_path: Path, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> None:
    set_environment(DULY_DATA_DIR=str(tmp_path / "data"), DULY_WORKER_CHILDREN="1", DULY_LOG_FORMAT="json")
    port = free_port()
    webhook: Any = _Address(f"http://127.0.0.1:{port}/webhooks/messenger")
    dump = tmp_path / "duly.dump"
    with running(tmp_path, webhook, "--people", "0", "--script", "none", "--no-fsync") as sandbox:
        with _stack(tmp_path, port, sandbox.url) as stack:
            page, key, people = _shop(sandbox)

            def api(method: str, path: str, body: object = None) -> Any:
                headers = {"Authorization": f"Bearer {key}"}
                answer = requests.request(
                    method, f"{stack.web_url}/api/v1{path}", json=body, headers=headers, timeout=patience(30)
                )
                assert answer.ok, answer.text
                return answer.json() if answer.content else None

            eventually(lambda: _one("SELECT count(*) FROM contact") == PEOPLE, seconds=30, what="everybody known")
            body = {"en": {"text": "Hello"}}
            api(
                "POST", f"/pages/{page}/templates",
                {"name": "hello", "category": "promotional", "default_locale": "en", "bodies": body},
            )  # fmt: skip
            campaign = api(
                "POST", f"/pages/{page}/campaigns", {"name": "c", "template": "hello", "audience": "everyone"}
            )
            # What is planned waits behind a switch when the dump is made.
            switch = api("POST", "/kill-switch", {"page": page, "why": "the dump"})
            api("POST", f"/campaigns/{campaign['id']}/launch")
            eventually(lambda: _one("SELECT count(*) FROM message") == PEOPLE, seconds=30, what="the plan")
            _duly(tmp_path, "db", "dump", str(dump))

            api("DELETE", f"/kill-switch/{switch['id']}")
            sent = f"SELECT count(*) FROM message WHERE state IN {ACCEPTED}"
            eventually(lambda: _one(sent) >= 12, seconds=60, what="a dozen messages")
            api("POST", "/kill-switch", {"page": page, "why": "enough"})
            eventually(
                lambda: _one("SELECT count(*) FROM message WHERE state IN ('due', 'sending', 'in_doubt')") == 0,
                seconds=30, what="the others parked",
            )  # fmt: skip
            before = _one(sent)
            assert 12 <= before < PEOPLE
            with Session(database.engine()) as session:
                waiting = session.execute(
                    text(
                        "SELECT c.psid FROM message m JOIN contact c ON c.id = m.contact_id WHERE m.state = 'scheduled'"
                    )
                ).scalars()
                shy = next(psid for psid in waiting if psid in people)
            sandbox.post("say", psid=shy, kind="message", text="STOP")
            eventually(lambda: _one("SELECT count(*) FROM suppression") == 1, seconds=30, what="the opt-out")

        _duly(tmp_path, "db", "load", str(dump), "--yes")

        with _stack(tmp_path, port, sandbox.url) as stack:
            assert _one(sent) == 0
            assert _one("SELECT count(*) FROM suppression") == 0
            held = "SELECT count(*) FROM lineage WHERE held_at IS NOT NULL"
            eventually(lambda: _one(held) == 1, seconds=60, what="the hold")
            ready = requests.get(f"{stack.web_url}/readyz", timeout=patience(10))
            assert (ready.status_code, "duly restore status" in ready.text) == (503, True)
            assert requests.get(f"{stack.web_url}/readyz/webhooks", timeout=patience(10)).ok
            key = _new_key()
            assert "database_held" in [alert["kind"] for alert in api("GET", "/ops/status")["alerts"]]
            assert "duly_database_held 1.0" in requests.get(f"{stack.web_url}/metrics", timeout=patience(10)).text

            # The dump's switch is released, and still nothing goes.
            api("DELETE", f"/kill-switch/{switch['id']}")
            status = json.loads(_duly(tmp_path, "restore", "status", "--json", code=1))
            assert status["to_settle"] == {"sent": before}
            assert "campaign.launch" not in [act["action"] for act in status["acts"]]
            assert [act["action"] for act in status["acts"]] == ["kill_switch.release", "kill_switch.engage"]
            assert sandbox.get("verdict")["accepted"] == before
            _duly(tmp_path, "restore", "release", "--why", "too early", "--yes", code=5)

            settled = json.loads(_duly(tmp_path, "restore", "settle", "--json"))
            assert (settled["settled"], settled["choices"]) == ({"sent": before}, 1)
            _duly(tmp_path, "restore", "release", "--why", "the disk broke", "--yes")

            eventually(lambda: _one(sent) == PEOPLE - 1, seconds=120, what="everybody else's message")
            assert requests.get(f"{stack.web_url}/readyz", timeout=patience(10)).ok
            assert _one("SELECT count(*) FROM message") == PEOPLE
            assert _one("SELECT string_agg(reason, ',') FROM message WHERE state = 'denied'") == "opted_out"
            with Session(database.engine()) as session:
                assert faults(session) == []
        verdict = sandbox.get("verdict")
        # Nobody twice, nobody lost, and nobody who said STOP.
        assert (verdict["accepted"], verdict["violations"]) == (PEOPLE - 1, [])


def _new_key() -> str:
    with database.session() as session:
        return create_key(session, "bert", now=clock.now())
