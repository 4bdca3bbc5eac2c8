"""The sandbox as a process that breaks: what whoever posts to it meets, and what its log tells of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from scheduler.store.redis_server import free_port
from tests.patience import patience
from workers.sandbox.log import read_log


class Platform:
    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log
        self.page: dict[str, Any] = requests.get(f"{url}/sandbox/pages", timeout=patience(5)).json()[0]
        made = self.ask("POST", "person", page_id=self.page["id"], zone="UTC")
        self.psid = made.json()["psid"]
        self.ask("POST", "say", psid=self.psid, wait=False)

    def ask(self, method: str, path: str, **body: Any) -> requests.Response:
        answer = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=patience(5))
        assert answer.ok, answer.text
        return answer

    def send(self, seconds: float = 5.0) -> requests.Response:
        body = {
            "recipient": {"id": self.psid}, "messaging_type": "UPDATE",
            "message": {"text": "Hi", "metadata": "12.34.mac"},
        }  # fmt: skip
        return requests.post(
            f"{self.url}/v26.0/{self.page['id']}/messages", json=body, timeout=seconds,
            headers={"Authorization": f"Bearer {self.page['access_token']}"},
        )  # fmt: skip

    def records(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in read_log(self._log) if record["kind"] == kind]


@pytest.fixture
def platform(tmp_path: Path, eventually: Callable[..., None]) -> Iterator[Platform]:
    port, log = free_port(), tmp_path / "sandbox.jsonl"
    url = f"http://127.0.0.1:{port}"
    argv = ["--port", str(port), "--log", str(log), "--script", "none", "--no-fsync", "--webhook-url",
            f"http://127.0.0.1:{free_port()}/nobody"]  # fmt: skip
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "workers.sandbox", *argv], stdout=out, stderr=out)

    def answers() -> bool:
        try:
            return requests.get(f"{url}/sandbox/status", timeout=patience(1)).ok
        except requests.RequestException:
            return False

    try:
        eventually(answers, seconds=30, what="the sandbox answering")
        yield Platform(url, log)
    finally:
        process.kill()
        process.wait(patience(10))


def test_connections_are_slammed_swallowed_and_refused_and_then_all_is_well(
    platform: Platform, eventually: Callable[..., None]
) -> None:
    platform.ask("POST", "line", kind="slam")
    with pytest.raises(requests.ConnectionError):
        platform.send()
    platform.ask("POST", "line", kind="swallow")
    with pytest.raises(requests.ReadTimeout):
        platform.send(0.5)
    told = [(each["what"], each.get("message"), each.get("attempt")) for each in platform.records("line")]
    assert told == [("slammed", None, None), ("swallowed", "12", "34")]
    # The platform has seen nothing of either.
    assert platform.records("request") == []
    platform.ask("POST", "line", kind="refuse", seconds=1.0)

    def refused() -> bool:
        try:
            platform.send()
        except requests.ConnectionError as error:
            return "refused" in str(error)
        return False

    eventually(refused, seconds=5, what="a refused connection")

    def accepted() -> bool:
        try:
            return "message_id" in platform.send().json()
        except requests.ConnectionError:
            return False

    eventually(accepted, seconds=10, what="an accepted message")


def test_an_answer_may_lie_drip_or_ask_to_wait(platform: Platform) -> None:
    platform.ask("POST", "fault", kind="error", code=1, status=200)
    platform.ask("POST", "fault", kind="error", status=429, retry_after=7, accepted=False)
    platform.ask("POST", "fault", kind="drip", seconds=1.0)
    lie, wait = platform.send(), platform.send()
    assert (lie.status_code, lie.json()["error"]["code"]) == (200, 1)
    assert (wait.status_code, wait.headers["Retry-After"]) == (429, "7")
    began = time.monotonic()
    assert platform.send().json()["recipient_id"] == platform.psid
    assert time.monotonic() - began > 0.8
    assert [(each["fault"], bool(each.get("mid"))) for each in platform.records("answer")] == [
        ("error", True), ("error", False), ("drip", True),
    ]  # fmt: skip


def test_a_revoked_token_is_refused_until_it_works_again(platform: Platform) -> None:
    platform.ask("POST", "token", page_id=platform.page["id"], revoked=True)
    assert platform.send().json()["error"]["code"] == 190
    platform.ask("POST", "token", page_id=platform.page["id"], revoked=False)
    assert "message_id" in platform.send().json()
