"""Somebody's whole way, from a webhook to a message that went and to trouble on it: no line of a log tells of them."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from typer.testing import CliRunner

from scheduler import clock, logs
from scheduler.cli.main import app as duly
from scheduler.contacts.registry import ensure_contacts
from scheduler.content.templates import save_template
from scheduler.outbox.tables import Message
from scheduler.outbox.tick import tick
from scheduler.privacy.erasure import erase
from scheduler.store import database
from tests.unit.delivery.wire import WireServer, accept, answer, error
from workers.channel import make_channel
from workers.deliver import Delivery
from workers.profiles import read_profiles

PSID = "canary-psid-7"
LONG = "24681357924681357"
CANARIES = (
    PSID, LONG, "Zebulon", "Xanthippe", "marzipanrosa", "zx@canary.example", "+4930901833", "4930901833",
    "canarytoken", "Kanarienstadt",
)  # fmt: skip


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, debug lines of libraries too, as the processes of Duly log it."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()
    real = logs.configure
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    real("debug", "json", stream)
    for name in ("httpx2", "httpcore2", "sqlalchemy"):
        # The test's own client, and what nobody turns on.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    server.script = _accept
    yield server
    server.close()


def _accept(connection: socket.socket, request: bytes) -> None:
    """A message is accepted, a profile is told."""
    profile = b'{"name": "Zebulon Xanthippe", "first_name": "Zebulon", "locale": "de_DE", "timezone": 1}'
    script = answer(200, profile) if request.startswith(b"GET") else accept
    script(connection, request)


def test_a_whole_way_tells_nobody(
    lines: io.StringIO, page: Any, api: Any, deliver: Any, say: Any, happen: Any, wire: WireServer, redis_url: str,
    set_environment: Callable[..., None], tmp_path: Any,
) -> None:  # fmt: skip
    place = f"/pages/{page.external_id}/contacts"
    for psid in (PSID, LONG):
        deliver(say(psid, "marzipanrosa, call +4930901833"))
        deliver(happen(psid, optin={"type": "notification_messages", "notification_messages_token": "canarytoken",
                                    "topic": "x", "notification_messages_timezone": "Europe/Berlin"}))  # fmt: skip
        # What cannot be applied, nor read.
        deliver(happen(psid, message={"mid": "m_1", "text": {"is": "marzipanrosa"}}))
        deliver(happen(psid, reaction="marzipanrosa"))
        api("POST", f"{place}/{psid}/release")
        known = {"name": "Zebulon Xanthippe", "first_name": "Zebulon", "attributes": {"town": "Kanarienstadt"}}
        assert api("PUT", f"{place}/{psid}", known).status_code == 200
        api("PUT", f"{place}/{psid}", {"name": "Zebulon", "timezone": "Kanarienstadt"})
        api("PUT", f"{place}/{psid}", {"nonsense": "Zebulon"})
        api("GET", f"{place}/{psid}/everything")
        api("GET", f"{place}/{psid}x")
    deliver(raw=f'{{"object": "page", "entry": [{{"text": "marzipanrosa {PSID}'.encode())

    file = tmp_path / "people.csv"
    file.write_text(
        f"psid,name,phone,email,town,timezone\n{PSID},Zebulon,+4930901833,zx@canary.example,Kanarienstadt,Europe/Berlin\n"
        f"{LONG},Xanthippe,4930901833,zx(at)canary,Kanarienstadt,Kanarienstadt\n"
    )
    said = CliRunner().invoke(
        duly, ["contacts", "import", str(file), "--page", page.external_id, "--skip-errors", "--yes"]
    )
    assert said.exit_code in (0, 1, 2), said.output

    _send(page, wire, set_environment)
    wire.script = error(551, 1545041)
    _send(page, wire, set_environment)
    _crash(api, place)
    with database.session() as session:
        erase(session, page.id, PSID, actor="mia", reason="asked", now=clock.now())
    deliver(say(PSID, "marzipanrosa", at=clock.now() - 100))

    written = lines.getvalue()
    assert written.count("\n") > 20
    assert "events_not_applied" in written
    assert "request_crashed" in written
    for line in written.splitlines():
        json.loads(line)
        for canary in CANARIES:
            assert canary not in line, (canary, line)


def _send(page: Any, wire: WireServer, set_environment: Callable[..., None]) -> None:
    now = clock.now()
    with database.session() as session:
        template = save_template(
            session, page.id, name=f"t{now}{len(wire.requests)}", category="service", default_locale="en",
            bodies={"en": {"text": "Dear {{ contact.first_name }}, marzipanrosa"}}, actor="tests", now=now,
        )  # fmt: skip
        for one in ensure_contacts(session, page.id, [PSID, LONG], now).values():
            session.execute(text("UPDATE contact SET held_at = NULL WHERE id = :id"), {"id": one})
            session.add(
                Message(
                    page_id=page.id, contact_id=one, template_id=template.id, lane="utility", category="service",
                    state="scheduled", state_at=now, due_at=now, deadline=now + 3_600, created_at=now,
                )
            )  # fmt: skip
        session.flush()
        tick(session, now)
    set_environment(DULY_GRAPH_URL=wire.url, DULY_SENDER_THREADS="2")
    channel = make_channel()
    before = len(wire.requests)
    try:
        Delivery("utility", channel, time_slice=5.0, idle=0.4).run()
        read_profiles(channel)
    finally:
        channel.pool.shutdown(wait=True, cancel_futures=True)
        channel.client.close()
        channel.throttle.disconnect()
    assert len(wire.requests) > before, "nothing was sent"


def _crash(api: Any, place: str) -> None:
    """Something unexpected, whose words quote a person."""
    import scheduler.contacts.records as records

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(
            f"no contact `{PSID}`: {{'first_name': 'Zebulon', 'text': \"marzipanrosa\", 'email': 'zx@canary.example'}} "
            f"psid={PSID} +49 30 901833 https://graph.facebook.com/v26.0/{PSID}?access_token=canarytoken "
            f"{LONG} input_value='Kanarienstadt', input_type=str"
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "patch_contact", fail)
        assert api("PATCH", f"{place}/{PSID}", {"name": "Zebulon"}).status_code == 500
