"""An evening that a broken product cannot get through: run as a program on the tree in the working directory.

A dozen people stand on both sides of every line that matters: hours that close while a message is on its slow way, a
night that UTC knows nothing of, a window that closed twenty minutes ago, a STOP. A campaign to all of them is launched;
what the witness thought of it is printed as JSON, with what the arrows do not explain in the log.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine
from sqlmodel import Session

from scheduler import clock
from scheduler.outbox.ledger import faults
from scheduler.store.database import driver_url
from scheduler.store.process import wait_until
from scheduler.supervise.first_key import first_key
from scheduler.supervise.stack import SandboxOptions, Stack

START = datetime(2026, 3, 10, 14, 40, tzinfo=UTC)
#: Ten virtual minutes a real second: the guard of two seconds is 20 minutes, a message's way of 1.5 seconds is 15.
RATE = 600
LATENCY = 1500
#: Promotions end there at 15:00, 15:15, 15:30 and 16:00 UTC: whenever a batch is decided, for somebody it is 15 minutes
#: before the end.
EVENINGS = ("Asia/Dhaka", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Karachi")


def main(data_dir: Path) -> dict[str, Any]:
    """Play it; the verdict and where the messages are."""
    environment = {
        "DULY_CLOCK_START": START.isoformat(),
        "DULY_CLOCK_RATE": str(RATE),
        "DULY_CLOCK_ORIGIN": repr(clock.now_exact() + _lead()),
        "DULY_DOUBT_WAIT": "5",
    }
    sandbox = SandboxOptions(people=0, script="none", latency=LATENCY)
    with Stack(
        data_dir=data_dir,
        port=0,
        environment=environment,
        sandbox=sandbox,
        embedded=True,
        durable=False,
        throwaway=True,
    ) as stack:
        key, _path = first_key(data_dir)
        assert stack.sandbox_url is not None
        told = _play(f"{stack.web_url}/api/v1", f"{stack.sandbox_url}/sandbox", key)
        engine = create_engine(driver_url(stack.database_url))
        with Session(engine) as session:
            told["faults"] = [f"{fault.message_id}: {fault.kind}, {fault.what}" for fault in faults(session)]
        engine.dispose()
        return told


def _lead() -> float:
    """Real seconds until the stack is up, on this machine now: the evening must not begin before."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import scheduler.api.app"], check=True)
    return 1.0 + 4.0 * (time.monotonic() - started)


def _play(api: str, sandbox: str, key: str) -> dict[str, Any]:
    with requests.Session() as http:
        http.trust_env = False

        def call(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
            answer = http.request(method, url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30)
            assert answer.ok, f"{method} {url} {answer.status_code} {answer.text}"
            return answer.json()

        page = call("GET", f"{sandbox}/pages")[0]
        call(
            "POST",
            f"{api}/pages",
            {
                "external_id": page["id"],
                "name": page["name"],
                "token": page["access_token"],
                "app_external_id": page["app_id"],
                "app_secret": page["app_secret"],
                "verify_token": page["verify_token"],
                "mode": "live",
            },
        )
        base = f"{api}/pages/{page['id']}"
        call(
            "POST",
            f"{base}/templates",
            {"name": "t", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": "Hi"}}},
        )
        assert wait_until(lambda: clock.now_exact() >= START.timestamp(), seconds=60)

        def somebody(zone: str, *, wrote: timedelta) -> str:
            psid: str = call("POST", f"{sandbox}/person", {"page_id": page["id"], "zone": zone})["psid"]
            call("PUT", f"{base}/contacts/{psid}", {"timezone": zone})
            told = call("POST", f"{sandbox}/say", {"psid": psid, "at": (START - wrote).isoformat()})
            assert told["delivered"], told
            return psid

        for zone in EVENINGS:
            for _ in range(2):
                somebody(zone, wrote=timedelta(hours=2))
        somebody("Asia/Tokyo", wrote=timedelta(hours=2))
        somebody("Europe/London", wrote=timedelta(hours=23, minutes=50))
        somebody("Europe/London", wrote=timedelta(hours=2))
        stopped = somebody("Europe/London", wrote=timedelta(hours=2))
        call("POST", f"{sandbox}/say", {"psid": stopped, "kind": "stop"})
        made = call("POST", f"{base}/campaigns", {"name": "evening", "template": "t", "audience": "everyone"})
        call("POST", f"{api}/campaigns/{made['id']}/launch")

        def over() -> bool:
            states = call("GET", f"{api}/messages/summary")["states"]
            return bool(states) and not any(states.get(name) for name in ("due", "sending", "in_doubt"))

        # Planned, and whatever could go at once has gone; the rest waits for the morning.
        assert wait_until(lambda: bool(call("GET", f"{api}/campaigns/{made['id']}")["planned_at"]), seconds=30)
        assert wait_until(
            lambda: call("GET", f"{sandbox}/status")["requests"] > 0 and clock.now_exact() > START.timestamp() + 4500,
            seconds=30,
        )
        assert wait_until(over, seconds=30), call("GET", f"{api}/messages/summary")
        return {"verdict": call("GET", f"{sandbox}/verdict"), "summary": call("GET", f"{api}/messages/summary")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))) + "\n")
