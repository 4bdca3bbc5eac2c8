"""The sandbox and the web process, and a page of the sandbox registered with Duly."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.governance.policies import activate_policy
from scheduler.pages.registry import add_page
from tests.daytime import zone_at_noon
from tests.forked import start_sandbox, start_web
from tests.patience import patience
from tests.unit.delivery.stage import Stage
from workers.channel import make_channel
from workers.deliver import Channel

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
        #: Where its people live.
        self.zone = zone_at_noon(self.now)
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
        return requests.get(self.url + path, timeout=patience(10)).json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(self.url + path, json=body, timeout=patience(20))
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def person(self, **values: Any) -> str:
        """Somebody whose first message Duly has got."""
        psid = str(self.post("/sandbox/person", page_id=self.page["id"], zone=self.zone, **values)["psid"])
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


@contextmanager
def open_town(
    session: Session, tmp_path: Path, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> Iterator[Town]:
    """Sandbox and web process, running; ``session`` is on the database that the settings name."""
    web, sandbox = _free_port(), _free_port()
    environment = dict(os.environ)
    platform = start_sandbox(
        "--host", "127.0.0.1", "--port", str(sandbox), "--log", str(tmp_path / "sandbox.jsonl"),
        "--webhook-url", f"http://127.0.0.1:{web}/webhooks/messenger", "--app-secret", SECRET,
        "--verify-token", VERIFY, "--seed", "7", "--script", "none", "--no-fsync",
        environment=environment, log=tmp_path / "sandbox.log",
    )  # fmt: skip
    duly = start_web(web, environment=environment, log=tmp_path / "web.log")

    def answers() -> bool:
        try:
            return (
                requests.get(f"http://127.0.0.1:{sandbox}/sandbox/status", timeout=patience(2)).ok
                and requests.get(f"http://127.0.0.1:{web}/healthz", timeout=patience(2)).ok
            )
        except requests.RequestException:
            return False

    try:
        eventually(answers, seconds=60, what="sandbox and web process answering")
        set_environment(DULY_GRAPH_URL=f"http://127.0.0.1:{sandbox}")
        yield Town(session, f"http://127.0.0.1:{sandbox}", eventually)
    finally:
        for process in (platform, duly):
            process.terminate()
        for process in (platform, duly):
            process.join(patience(15))
            process.close()


@pytest.fixture
def town(
    session: Session,
    redis_url: str,
    database_url: str,
    tmp_path: Path,
    set_environment: Callable[..., None],
    eventually: Callable[..., None],
) -> Iterator[Town]:
    """A town of this test's own."""
    with open_town(session, tmp_path, set_environment, eventually) as opened:
        yield opened


@pytest.fixture
def channel(town: Town) -> Iterator[Channel]:
    """What sends in that town."""
    made = make_channel()
    yield made
    made.pool.shutdown(wait=True, cancel_futures=True)
    made.client.close()
    made.throttle.disconnect()
