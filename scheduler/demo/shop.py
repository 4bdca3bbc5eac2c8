"""The shop that uses Duly: every call goes over HTTP, as a customer's own program would make it."""

from __future__ import annotations

from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scheduler.errors import DulyError

#: Seconds; a loaded machine answers late, a stuck one never.
_TIMEOUT = (3.05, 30)


#: What may be asked twice is asked again while a part that died is being restarted: about ten real seconds in all.
_PATIENCE = Retry(
    total=8, backoff_factor=0.1, status_forcelist=(503,), allowed_methods=("GET", "PUT"), raise_on_status=False
)


def _http() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(max_retries=_PATIENCE))
    return session


class Refused(DulyError):
    """Duly refused a call of the shop"""

    code = "demo_refused"


class Shop:
    """A client of ``/api/v1`` with its key."""

    def __init__(self, address: str, key: str) -> None:
        """``address`` is the web process, ``http://127.0.0.1:8000``."""
        self._base = f"{address}/api/v1"
        self._metrics = f"{address}/metrics"
        self._http = _http()
        self._http.headers["Authorization"] = f"Bearer {key}"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """One call; its JSON answer. Raises Refused with the problem's own words."""
        answer = self._http.request(method, f"{self._base}{path}", json=body, params=query, timeout=_TIMEOUT)
        if answer.status_code >= 400:
            raise Refused(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def messages(self, limit: int = 200, **filters: Any) -> list[dict[str, Any]]:
        """The first ``limit`` messages that match the filters."""
        items: list[dict[str, Any]] = self.call("GET", "/messages", limit=limit, **filters)["items"]
        return items

    def summary(self) -> dict[str, Any]:
        """Messages by state and reason, counted by the database now."""
        answer: dict[str, Any] = self.call("GET", "/messages/summary")
        return answer

    def gauges(self) -> dict[str, dict[str, float]]:
        """What ``/metrics`` shows, at most two seconds old: name → value of its only label → value."""
        answer = self._http.get(self._metrics, timeout=_TIMEOUT)
        answer.raise_for_status()
        return {
            family.name: {
                next(iter(each.labels.values())): each.value for each in family.samples if len(each.labels) == 1
            }
            for family in text_string_to_metric_families(answer.text)
        }

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


class Platform:
    """The sandbox's own face: whom it has made up, what it saw, what it thinks of us."""

    def __init__(self, address: str) -> None:
        """``address`` is the sandbox process."""
        self._base = f"{address}/sandbox"
        self._http = _http()

    def get(self, path: str) -> Any:
        """One read."""
        answer = self._http.get(f"{self._base}{path}", timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json()

    def play(self) -> None:
        """Let the people begin to live."""
        self._http.post(f"{self._base}/play", timeout=_TIMEOUT).raise_for_status()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
