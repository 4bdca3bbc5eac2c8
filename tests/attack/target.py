"""What is attacked: the stack that ``duly up`` starts, with one page and a template; and how to speak to it."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from scheduler.supervise.first_key import first_key
from scheduler.supervise.stack import SandboxOptions, Stack
from tests.patience import patience

PAGE, SECRET, VERIFY = "1001", "the-secret-of-the-attacked-app-0", "the-verify-token-of-the-attacked-app"
_STATUS = "VmRSS:"


class Target:
    """The stack under attack. A context manager."""

    def __init__(self, data_dir: Path) -> None:
        self.stack = Stack(
            data_dir=data_dir, port=0, sandbox=SandboxOptions(people=0, script="none", fsync=False), embedded=True,
            durable=False, throwaway=True,
        )  # fmt: skip

    def __enter__(self) -> Target:
        try:
            self.stack.start()
            self.key, _path = first_key(self.stack.data_dir)
            host, _, port = self.stack.web_url.rpartition("//")[2].rpartition(":")
            self.host, self.port = host.strip("[]"), int(port)
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.stop()

    def _prepare(self) -> None:
        page = {
            "external_id": PAGE, "name": "Shop", "token": "EAAB" + "attacked" * 8, "app_external_id": "77",
            "app_secret": SECRET, "verify_token": VERIFY, "mode": "live",
        }  # fmt: skip
        template = {
            "name": "promo", "category": "promotional", "default_locale": "en", "bodies": {"en": {"text": "Hello"}},
        }  # fmt: skip
        for path, body in (("/pages", page), (f"/pages/{PAGE}/templates", template)):
            status, answer = self.ask("POST", path, body)
            assert status < 300, answer

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, bytes]:
        """Status and body of one request to the REST API, by somebody with a key (``key``: another than the right one).

        ``body``: JSON, or bytes as they are. Raises OSError or HTTPException where no answer comes.
        """
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=patience(15))
        try:
            connection.request(method, path if path.startswith("/api") else f"/api/v1{path}", sent, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """A bare connection to the web process."""
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def memory(self) -> int:
        """Bytes of memory of the web process and its children."""
        pid = self.stack.processes.get("web")
        return sum(_memory(each) for each in _family(pid)) if pid else 0

    def stopped(self, psids: list[str]) -> set[str]:
        """Those of whom the database knows that they opted out of everything."""
        with psycopg.connect(self.stack.database_url, autocommit=True, connect_timeout=30) as connection:
            rows = connection.execute(
                """SELECT c.psid FROM contact c JOIN suppression s ON s.contact_id = c.id WHERE c.psid = ANY(%s)""",
                [psids],
            ).fetchall()
        return {str(psid) for (psid,) in rows}


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    return found


def _memory(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(_STATUS):
                return int(line.split()[1]) * 1024
    return 0
