"""Texts made to keep a process busy, sent by somebody with a key: a STOP beside them is answered and in force."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.access.keys import create_key
from scheduler.store import database
from tests.forked import start_web
from tests.integration.front.conftest import PAGE, envelope, envelope_event, sign
from tests.patience import patience, wait_until

_MIB = 1024 * 1024


@dataclass(slots=True)
class Web:
    """A web process, and what it can be asked."""

    url: str
    pid: int
    key: str

    def send(self, method: str, path: str, body: bytes, kind: str = "application/json") -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        return requests.request(method, f"{self.url}/api/v1{path}", data=body, headers=headers, timeout=patience(60))

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes of the process: VmRSS now, VmHWM at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{what}:"))


@dataclass(slots=True)
class Witness:
    """Somebody new says STOP every 100 ms."""

    web: Web
    answers: list[tuple[int, float]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        with requests.Session() as http:
            while not self.over.wait(0.1):
                number += 1
                event = envelope_event(f"stop-{number}", None, message={"mid": f"m_stop_{number}", "text": "STOP"})
                body = envelope(event)
                began = time.monotonic()
                answer = http.post(
                    f"{self.web.url}/webhooks/messenger", data=body, timeout=patience(30),
                    headers={"X-Hub-Signature-256": sign(body, "0123456789abcdef" * 2)},
                )  # fmt: skip
                self.answers.append((answer.status_code, time.monotonic() - began))


@pytest.fixture
def web(page: Any, redis_url: str, tmp_path: Path) -> Iterator[Web]:
    """A real one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with database.session() as session:
        key = create_key(session, "tests", now=clock.now())
    process = start_web(port, environment=dict(os.environ), log=tmp_path / "web.log")
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/healthz", timeout=patience(2)).ok
        except requests.RequestException:
            return False

    try:
        assert wait_until(answers, seconds=60), (tmp_path / "web.log").read_text()
        assert process.pid is not None
        yield Web(url, process.pid, key)
    finally:
        process.terminate()
        process.join(patience(15))
        process.close()


def _template(source: str) -> tuple[str, str, bytes]:
    body = {"name": "x", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": source}}}
    return "POST", f"/pages/{PAGE}/templates", json.dumps(body).encode()


def _policy(document: str) -> tuple[str, str, bytes]:
    return "POST", f"/pages/{PAGE}/policy", json.dumps({"document": document, "why": "x", "dry_run": True}).encode()


_HOURS = '[policy]\nname = "x"\nextends = "default"\n' + "".join(
    f'[[permitted_hours]]\nid = "h{number}"\ndaily = [["08:00", "21:{number % 60:02d}"]]\n' for number in range(1_000)
)
_WORDS = "{% assign words = '" + "y," * 999 + "' | split: ',' %}"

#: What is sent, ten times at once each; all of it is refused.
_ATTACKS: dict[str, tuple[str, str, bytes]] = {
    "opened and never closed": _template("{{" * 3_000),
    "blanks": _template("{{" + " " * 19_000 + "}}"),
    "a long name": _template("{% " + "a" * 19_000),
    "a range in disguise": _template("{% liquid # it's\n echo (1..30000000) | join %}"),
    "what is never ended": _template("{% raw %}" * 499 + "x" * 15_000),
    "a loop over a long path": _template(
        _WORDS + "{% for i in words %}{% if contact.attributes" + ".a" * 1_900 + " %}{% endif %}{% endfor %}x"
    ),
    "keys of many parts": _policy("\n".join(f"a{number}." + "a." * 480 + "b = 1" for number in range(66))),
    "many windows": _policy(_HOURS),
    "a nested document": _policy("a = " + "[\n" * 20_000),
    "a long number": _policy("a = [\n" + "1,\n" * 15_000 + "]"),
    "deep JSON": ("POST", "/kill-switch", b"[" * 100_000),
    "digits": ("POST", "/kill-switch", b'{"why": ' + b"9" * 200_000 + b"}"),
    "half a million errors": ("POST", f"/pages/{PAGE}/campaigns", b'{"audience": [' + b"1," * 750_000 + b"1]}"),
    "people who are lists": ("PATCH", f"/pages/{PAGE}", b'{"allow": [' + b"[]," * 900_000 + b"[]]}"),
    "members that are objects": (
        "PUT", f"/pages/{PAGE}/contacts/7",
        json.dumps({"attributes": {f"a{number}": {} for number in range(20_000)}}).encode(),
    ),
}  # fmt: skip


def test_a_stop_is_answered_and_in_force_whatever_is_sent_beside_it(web: Web, session: Session) -> None:
    # What is kept warm is started, and what is read once is read.
    assert web.send(*_template("hi {{ page.name }}")).status_code == 201
    assert web.send(*_policy('[policy]\nname = "x"\nextends = "default"\n')).status_code == 200
    idle = web.memory()
    Path(f"/proc/{web.pid}/clear_refs").write_text("5")  # the peak counts from here on
    witness = Witness(web)
    thread = threading.Thread(target=witness.run)
    thread.start()
    told: dict[str, set[int]] = {}
    try:
        with ThreadPoolExecutor(10) as pool:
            for name, attack in _ATTACKS.items():
                answers = list(pool.map(lambda _, attack=attack: web.send(*attack), range(10)))
                told[name] = {each.status_code for each in answers}
                assert all(len(each.content) < 40_000 for each in answers), name
                assert all(each.headers.get("Retry-After") for each in answers if each.status_code == 503), name
    finally:
        witness.over.set()
        thread.join(patience(60))
    # Refused, or asked to come again where others were being read.
    assert {name: codes for name, codes in told.items() if not codes <= {400, 413, 422, 503}} == {}
    assert {name for name, codes in told.items() if codes == {503}} == set()
    assert len(witness.answers) >= 5
    assert {code for code, _ in witness.answers} == {200}
    assert max(seconds for _, seconds in witness.answers) < patience(5)
    query = text("SELECT count(*) FROM suppression WHERE reason = 'opted_out' AND lifted_at IS NULL")
    assert session.execute(query).scalar_one() == len(witness.answers)
    assert web.memory("VmHWM") < 2 * idle + 64 * _MIB


def test_what_a_file_of_contacts_holds_is_an_error_of_its_line(web: Web) -> None:
    deep = "[" * 5_000
    for content in (
        f'psid,consents,opt_outs\n7001,"{deep}","{deep}"\n',
        "psid," + ",".join(f"c{number}" for number in range(200_000)) + "\n",
        "psid,name\n7001,," + "," * 100_000 + "\n",
        'psid,name\n7001,"' + "x" * 900_000 + '"\n',
        'psid,name\n7001,"' + "\n" * 900_000,
    ):
        answer = web.send("POST", f"/pages/{PAGE}/imports", content.encode(), "text/csv")
        assert answer.status_code in (201, 400, 413, 422), answer.text[:300]
        assert len(answer.content) < 100_000
    body = envelope(envelope_event("7001", None, message={"mid": "m_after", "text": "STOP"}))
    headers = {"X-Hub-Signature-256": sign(body, "0123456789abcdef" * 2)}
    assert requests.post(f"{web.url}/webhooks/messenger", data=body, headers=headers, timeout=patience(30)).json() == {
        "received": 1,
        "known": 0,
        "failed": 0,
    }


def test_a_child_that_dies_over_a_text_is_replaced(web: Web) -> None:
    assert web.send(*_template("one")).status_code == 201
    for _ in range(2):
        (child,) = _children(web.pid)
        os.kill(child, 9)
        assert wait_until(lambda child=child: _state(child) in ("Z", ""), seconds=10)
        assert web.send(*_template("two")).status_code == 201
        assert _children(web.pid) != [child]


def _children(pid: int) -> list[int]:
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (each / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(each.name))
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
