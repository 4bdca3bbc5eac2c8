"""Web processes whose clocks differ: an acknowledged STOP is in force, and who is too far off takes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlmodel import Session

from policies.policy import load_policy
from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.api import ops
from scheduler.consent.ledger import counts_by_arrival
from scheduler.governance.policies import activate_policy
from scheduler.outbox.begin import begin
from scheduler.outbox.skews import skews
from scheduler.store import database
from tests.forked import start_web
from tests.integration.front.conftest import SECRET, envelope, sign
from tests.patience import patience
from tests.unit.delivery.stage import HOUR, Stage

#: Of the machines that a test's web processes run on, in seconds.
RIGHT, BEHIND, AHEAD, A_LITTLE_BEHIND = 0.0, -300.0, 300.0, -1.5


class Web:
    """A web process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def deliver(self, event: object) -> requests.Response:
        body = envelope(event)
        return requests.post(
            f"{self.url}/webhooks/messenger", data=body, headers={"X-Hub-Signature-256": sign(body, SECRET)},
            timeout=patience(20),
        )  # fmt: skip

    def api(self, method: str, path: str, body: object = None) -> requests.Response:
        with database.session() as session:
            key = create_key(session, f"k-{os.urandom(4).hex()}", now=clock.now())
        return requests.request(
            method, f"{self.url}/api/v1{path}", json=body, headers={"Authorization": f"Bearer {key}"},
            timeout=patience(20),
        )  # fmt: skip


@pytest.fixture
def web(
    page: Any, redis_url: str, tmp_path: Path, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> Iterator[Callable[..., list[Web]]]:
    """``web(RIGHT, BEHIND, DULY_CLOCK_SKEW="600")``: such processes, with these settings."""
    running = []

    def start(*ahead: float, **settings: str) -> list[Web]:
        ports = []
        for each in ahead:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                ports.append(int(listener.getsockname()[1]))
            environment = {**os.environ, **settings}
            running.append(start_web(ports[-1], environment=environment, log=tmp_path / f"{each}.log", ahead=each))

        def up() -> bool:
            try:
                return all(requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2).ok for port in ports)
            except requests.RequestException:
                return False

        eventually(up, seconds=60, what="the web processes answering")
        return [Web(port) for port in ports]

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.join(patience(15))
        process.close()


def _denied(session: Session, page_id: int, psid: str) -> str | None:
    """Why a promotional message that is due now does not go to them; None: it goes."""
    session.rollback()
    stage = Stage.__new__(Stage)
    stage.session, stage.now, stage.pages, stage._psids = session, clock.now(), [page_id], 0
    contact = stage.one("SELECT id FROM contact WHERE psid = :psid", psid=psid)
    template = stage.one(
        """INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_approved, created_at)
           SELECT :page, 'promo', 1 + count(*), 'promotional', 'en', '{"en": {"text": "Hi"}}', false, 0 FROM template
           RETURNING id""",
        page=page_id,
    )
    stage.templates = {(page_id, "promotional"): template}
    message = stage.message(contact, deadline=clock.now() + HOUR)
    begin(session, "promotional", {page_id: 10}, clock.now())
    found = stage.row("SELECT state, reason FROM message WHERE id = :id", id=message)
    session.rollback()
    return found.reason if found.state == "denied" else None


@pytest.fixture
def denied(session: Session, page: Any) -> Callable[[str], str | None]:
    activate_policy(session, page.id, load_policy("platform-only"), actor="test", why="test", now=clock.now())
    session.commit()
    return lambda psid: _denied(session, page.id, psid)


@pytest.mark.parametrize("others", [BEHIND, AHEAD, A_LITTLE_BEHIND])
def test_a_stop_counts_whichever_process_took_it(
    web: Callable[..., list[Web]], say: Any, denied: Callable[[str], str | None], others: float
) -> None:
    """However far off a clock is that is trusted, and whether the platform says when something was said or not."""
    # So far is trusted that none of them refuses: what is left is the order.
    true, off = web(RIGHT, others, DULY_CLOCK_SKEW="600")
    for number, (start_at, stop_at) in enumerate([(true, off), (off, true)]):
        for timed in (True, False):
            psid = f"{number}{timed:d}"
            for at, words in ((true, "hello"), (start_at, "START"), (stop_at, "STOP")):
                event = say(psid, words)
                if not timed:
                    del event["timestamp"]
                assert at.deliver(event).status_code == 200, words
            assert denied(psid) == "opted_out", (others, psid)
            # And a yes that comes after it brings them back.
            assert true.deliver(say(psid, "START", at=clock.now() + 1)).status_code == 200
    psid = "rest"
    assert true.deliver(say(psid, "hello")).status_code == 200
    for yes, no in ((true, off), (off, true)):
        assert yes.api("POST", f"/pages/100200300400/contacts/{psid}/opt-in").status_code == 200
        assert no.api("POST", f"/pages/100200300400/contacts/{psid}/opt-out").status_code == 200
        assert denied(psid) == "opted_out"
        # What the team said at one, the person answers at the other, and the other way round.
        assert yes.api("POST", f"/pages/100200300400/contacts/{psid}/opt-in").status_code == 200
        assert no.deliver(say(psid, "STOP", at=clock.now() - 1)).status_code == 200
        assert denied(psid) == "opted_out"


def test_a_stop_counts_where_virtual_clocks_differ(
    web: Callable[..., list[Web]], say: Any, denied: Callable[[str], str | None]
) -> None:
    """Nobody can hold a virtual clock against the database's: there the order of arrival counts."""
    now = clock.now()
    (true,) = web(RIGHT)
    start = datetime.fromtimestamp(now - 300, UTC).isoformat()
    (behind,) = web(RIGHT, DULY_CLOCK_START=start, DULY_CLOCK_RATE="1", DULY_CLOCK_ORIGIN=str(now))
    for psid, first, second in (("1", true, behind), ("2", behind, true)):
        for at, words in ((true, "hello"), (first, "START"), (second, "STOP")):
            assert at.deliver(say(psid, words)).status_code == 200
        assert denied(psid) == "opted_out"


def test_a_process_whose_clock_is_wrong_takes_nothing_and_says_so(
    web: Callable[..., list[Web]], say: Any, session: Session, opted_out: Any
) -> None:
    true, behind = web(RIGHT, BEHIND)
    assert true.deliver(say("7", "hello")).status_code == 200
    for answer in (
        behind.deliver(say("7", "STOP")),
        behind.api("POST", "/pages/100200300400/contacts/7/opt-out"),
        requests.get(f"{behind.url}/readyz/webhooks", timeout=patience(10)),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        assert "300." in answer.json()["detail"]
        assert "behind the database" in answer.json()["detail"]
    assert not opted_out("7")
    # What is read is answered, and what stops sending is done: by the database's clock.
    assert behind.api("GET", "/pages/100200300400/contacts/7").status_code == 200
    answer = behind.api("POST", "/kill-switch", {"why": "a wrong clock"})
    assert answer.status_code == 201
    engaged = datetime.fromisoformat(answer.json()["engaged_at"]).timestamp()
    assert abs(engaged - clock.now()) < patience(30)
    # The platform delivers again, and another process takes it.
    assert true.deliver(say("7", "STOP")).status_code == 200
    assert opted_out("7")
    assert requests.get(f"{true.url}/readyz/webhooks", timeout=patience(10)).status_code == 200
    [skew] = skews(session)
    assert (skew.web, round(skew.ahead)) == (True, -300)
    alerts = [alert.words for alert in ops.status(session, clock.now()).alerts if alert.kind == "clock_wrong"]
    assert len(alerts) == 1
    assert "it takes no webhooks" in alerts[0]
    scraped = requests.get(f"{true.url}/metrics", timeout=patience(10)).text
    assert "duly_clock_ahead_seconds{" in scraped


def test_what_is_dated_by_whom() -> None:
    assert not counts_by_arrival("message", 1000, 1000)
    assert counts_by_arrival("message", 1001, 1000)
    for source in ("api", "operator", "import"):
        assert counts_by_arrival(source, 10_000, 10_000)
        assert counts_by_arrival(source, 7_000, 10_000)
        assert not counts_by_arrival(source, 6_000, 10_000)
