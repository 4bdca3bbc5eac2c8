"""A sandbox as a process, a receiver for its webhooks, and what a shop says to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.patience import patience

SECRET, VERIFY = "5ea1e75ea1e75ea1", "letmein-8461"


class Receiver:
    """A page's webhook: keeps what arrives, answers what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        #: Statuses of the next answers; then 200.
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                known = asked.get("hub.verify_token") == [VERIFY] and asked.get("hub.mode") == ["subscribe"]
                self._answer(200 if known else 403, asked["hub.challenge"][0].encode() if known else b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) < int(self.headers["Content-Length"]):
                    return  # whoever sent it ended meanwhile
                receiver.bodies.append(body)
                receiver.signatures.append(self.headers["X-Hub-Signature-256"])
                self._answer(receiver.answers.pop(0) if receiver.answers else 200, b"EVENT_RECEIVED")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/messenger"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body)["entry"][0]["messaging"][0] for body in list(self.bodies)]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if kind in event]

    def echoes(self) -> list[dict[str, Any]]:
        return [event for event in self.of("message") if event["message"].get("is_echo")]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Sandbox:
    """A running sandbox and what a shop and a test do to it."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self.log = url, log
        self.http = requests.Session()
        self.http.trust_env = False
        self.pages = self.get("pages")
        self.page = self.pages[0]

    def get(self, path: str) -> Any:
        answer = self.http.get(f"{self.url}/sandbox/{path}", timeout=patience(10))
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(f"{self.url}/sandbox/{path}", json=body, timeout=patience(30))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def person(self, **about: Any) -> str:
        about = {"page_id": self.page["id"], "zone": "Etc/UTC", **about}
        psid: str = self.post("person", **about)["psid"]
        return psid

    def send(self, body: Any, *, token: str | None = None, path: str | None = None) -> requests.Response:
        return self.http.post(
            f"{self.url}/{path or 'v26.0/' + self.page['id'] + '/messages'}",
            json=body,
            headers={"Authorization": f"Bearer {token or self.page['access_token']}"},
            timeout=patience(5),
        )

    def graph(self, path: str, **query: str) -> requests.Response:
        token = query.pop("token", self.page["access_token"])
        return self.http.get(f"{self.url}/v26.0/{path}", params={"access_token": token, **query}, timeout=patience(5))

    def codes(self, body: Any, **options: Any) -> tuple[int, int | None]:
        error = self.send(body, **options).json()["error"]
        assert error["fbtrace_id"]
        assert error["type"] in ("OAuthException", "GraphMethodException")
        return error["code"], error.get("error_subcode")


def update(psid: str, *, metadata: str = "1.1.mac", text: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a send."""
    message = {"text": text, "metadata": metadata}
    return {"recipient": {"id": psid}, "messaging_type": "UPDATE", "message": message, **more}


def noon(*, rate: int) -> dict[str, str]:
    """A clock on which it is noon in UTC now, whenever this runs: nobody's night."""
    origin = time.time()  # noqa: TID251 - the process under test is to begin now
    return {
        "DULY_CLOCK_START": "2026-03-07T12:00:00Z",
        "DULY_CLOCK_RATE": str(rate),
        "DULY_CLOCK_ORIGIN": repr(origin),
    }


@contextmanager
def running(folder: Path, receiver: Receiver, *arguments: str, **environment: str) -> Iterator[Sandbox]:
    """A sandbox that was started with these arguments."""
    log = folder / "sandbox.jsonl"
    command = [
        sys.executable, "-m", "workers.sandbox", "--port", "0", "--log", str(log), "--webhook-url", receiver.url,
        "--app-secret", SECRET, "--verify-token", VERIFY, *arguments,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        sandbox = Sandbox(line.split()[1].rstrip(","), log)
        yield sandbox
        sandbox.http.close()
    finally:
        process.terminate()
        process.wait(patience(10))
        if process.stdout is not None:
            process.stdout.close()
