"""An evening that a broken product cannot get through: run as a program on the tree in the working directory.

A dozen people stand on both sides of every line that matters: hours that close while a message is on its slow way, a
night that UTC knows nothing of, a window that closed twenty minutes ago, a STOP. A campaign to all of them is launched;
what the witness thought of it is printed as JSON, with what the arrows do not explain in the log.

    python evening.py DATA_DIR SLOWER [KIND …]

The clock stands until everything is up and everybody has written. Then the evening passes ``SLOWER`` times slower than
on a quick machine, everything in proportion. Where the campaign was planned too late all the same, it is no evening to
judge anything by: the exit status is ``TOO_LATE`` and nothing is printed. With a ``KIND`` of violation it ends as soon
as the witness has named one; else when everything has come to rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine
from sqlmodel import Session

from scheduler import clock
from scheduler.clock_file import ClockFile
from scheduler.lineage.start import keep_marks
from scheduler.outbox.ledger import faults
from scheduler.store.database import driver_url
from scheduler.store.process import wait_until
from scheduler.supervise.first_key import first_key
from scheduler.supervise.stack import SandboxOptions, Stack

START = datetime(2026, 3, 10, 14, 40, tzinfo=UTC)
#: Ten virtual minutes a real second: the guard of two seconds is 20 minutes, a message's way of 1.5 seconds is 15.
RATE = 600
LATENCY = 1500
GUARD = 2.0
#: Real seconds, for what only a broken product does not do: on any machine.
_PATIENCE = 300.0
#: Promotions end there at 15:00, 15:15, 15:30 and 16:00 UTC: whenever a batch is decided, for somebody it is 15 minutes
#: before the end.
EVENINGS = ("Asia/Dhaka", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Karachi")
#: The campaign must be planned by then: a batch decided after 15:30 would miss three of the four.
LAST_PLAN = START + timedelta(minutes=35)
OVER = START + timedelta(minutes=75)
#: The exit status of an evening that passed too fast for this machine.
TOO_LATE = 75


class _TooLate(Exception):
    pass


def main(data_dir: Path, slower: float, kinds: set[str]) -> dict[str, Any]:
    """Play it; the verdict and where the messages are. Servers are those of the settings."""
    data_dir.mkdir(parents=True, exist_ok=True)
    held = ClockFile.make(data_dir / "clock", START.timestamp(), RATE / slower)
    environment = {
        "DULY_CLOCK_FILE": str(data_dir / "clock"),
        "DULY_SEND_GUARD": repr(GUARD * slower),
        "DULY_DOUBT_WAIT": repr(5.0 * slower),
    }
    sandbox = SandboxOptions(people=0, script="none", latency=int(LATENCY * slower))
    # Once the witness has spoken, nothing that a worker may still do is of interest.
    with Stack(data_dir=data_dir, port=0, environment=environment, sandbox=sandbox, patience=0.5) as stack:
        key, _path = first_key(data_dir)
        assert stack.sandbox_url is not None
        told = _Evening(f"{stack.web_url}/api/v1", f"{stack.sandbox_url}/sandbox", key).play(kinds, held)
        engine = create_engine(driver_url(stack.database_url))
        with Session(engine) as session:
            told["faults"] = [f"{fault.message_id}: {fault.kind}, {fault.what}" for fault in faults(session)]
        engine.dispose()
        return told


class _Evening:
    def __init__(self, api: str, sandbox: str, key: str) -> None:
        self._api, self._sandbox = api, sandbox
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Authorization"] = f"Bearer {key}"
        self._page: dict[str, Any] = self._call("GET", f"{sandbox}/pages")[0]
        self._base = f"{api}/pages/{self._page['id']}"

    def play(self, kinds: set[str], held: ClockFile) -> dict[str, Any]:
        """All of it."""
        self._open()
        wrote = [self._somebody(zone, timedelta(hours=2)) for zone in EVENINGS for _ in range(2)]
        wrote += [
            self._somebody("Asia/Tokyo", timedelta(hours=2)),
            self._somebody("Europe/London", timedelta(hours=23, minutes=50)),
            self._somebody("Europe/London", timedelta(hours=2)),
            self._somebody("Europe/London", timedelta(hours=2), stops=True),
        ]
        for write in wrote:
            write()
        held.go(clock.machine())
        campaign = self._launch()
        status = f"{self._api}/campaigns/{campaign}"
        assert wait_until(lambda: bool(self._call("GET", status)["planned_at"]), seconds=_PATIENCE)
        if datetime.fromisoformat(self._call("GET", status)["planned_at"]) > LAST_PLAN:
            raise _TooLate
        assert wait_until(lambda: self._named(kinds) or self._over(), seconds=_PATIENCE), self._summary()
        return {"verdict": self._verdict(), "summary": self._summary()}

    def _open(self) -> None:
        page = self._page
        registered = {"external_id": page["id"], "app_external_id": page["app_id"], "token": page["access_token"]}
        registered |= {name: page[name] for name in ("name", "app_secret", "verify_token")}
        self._call("POST", f"{self._api}/pages", {**registered, "mode": "live"})
        template = {"name": "t", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": "Hi"}}}
        self._call("POST", f"{self._base}/templates", template)

    def _somebody(self, zone: str, ago: timedelta, *, stops: bool = False) -> Callable[[], None]:
        """A person of that zone; what is returned lets them write."""
        made = self._call("POST", f"{self._sandbox}/person", {"page_id": self._page["id"], "zone": zone})
        psid: str = made["psid"]
        self._call("PUT", f"{self._base}/contacts/{psid}", {"timezone": zone})

        def write() -> None:
            told = self._call("POST", f"{self._sandbox}/say", {"psid": psid, "at": (START - ago).isoformat()})
            assert told["delivered"], told
            if stops:
                self._call("POST", f"{self._sandbox}/say", {"psid": psid, "kind": "stop"})

        return write

    def _launch(self) -> int:
        wanted = {"name": "evening", "template": "t", "audience": "everyone"}
        made = self._call("POST", f"{self._base}/campaigns", wanted)
        self._call("POST", f"{self._api}/campaigns/{made['id']}/launch")
        return int(made["id"])

    def _named(self, kinds: set[str]) -> bool:
        return bool(kinds & {found["kind"] for found in self._verdict()["violations"]})

    def _over(self) -> bool:
        """Whatever could go at once has gone; the rest waits for the morning."""
        if clock.now_exact() <= OVER.timestamp() or not self._call("GET", f"{self._sandbox}/status")["requests"]:
            return False
        states = self._summary()["states"]
        return bool(states) and not any(states.get(name) for name in ("due", "sending", "in_doubt"))

    def _verdict(self) -> Any:
        return self._call("GET", f"{self._sandbox}/verdict")

    def _summary(self) -> Any:
        return self._call("GET", f"{self._api}/messages/summary")

    def _call(self, method: str, url: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, url, json=body, timeout=_PATIENCE)
        assert answer.ok, f"{method} {url} {answer.status_code} {answer.text}"
        return answer.json()


if __name__ == "__main__":
    keep_marks()
    _program, _folder, _slower, *_kinds = sys.argv
    try:
        sys.stdout.write(json.dumps(main(Path(_folder), float(_slower), set(_kinds))) + "\n")
    except _TooLate:
        sys.exit(TOO_LATE)
