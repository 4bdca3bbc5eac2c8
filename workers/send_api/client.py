"""Requests to the platform: one pooled session a process, an answer or a reason for every one, never an exception.

Threads share it; nothing here touches the database.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import requests

from scheduler.own_trouble import short_of_something
from workers.send_api.answers import TO_ANOTHER, Answer, understand
from workers.send_api.transport import WatchedAdapter, watch

#: Real seconds to connect, and for the whole answer from the start of the request.
CONNECT_TIMEOUT = 3.0
ANSWER_DEADLINE = 10.0
#: An answer is a few hundred bytes; whatever is longer is not one.
_LONGEST_ANSWER = 262_144

#: A ValueError is a header or an address that cannot be written: nothing has left.
_FAILURES = (requests.RequestException, OSError, ValueError, MemoryError)
#: This process has no memory or descriptor left, and nothing has left it.
NO_MEANS = "worker_short_of_means"
_USER_AGENT = requests.utils.default_user_agent()
_PROFILE_FIELDS = "first_name,name,locale,timezone"
#: Codes or subcodes: somebody without a profile (an account by telephone number); the app may not read profiles.
_NO_PROFILE, _MAY_NOT_READ = 2018218, 2018247
#: "Missing permission" and its kin: 3, 10, and all from 200 to 299 (Graph API, "Handling errors").
_PERMISSIONS = frozenset({3, 10, *range(200, 300)})


@dataclass(frozen=True, slots=True, repr=False)
class Sender:
    """On whose behalf a request is made. Its secrets are in no representation of it."""

    external_id: str
    token: str
    app_secret: str
    #: ``appsecret_proof``: shows that whoever uses the token also has the app's secret.
    proof: str = field(init=False)

    def __post_init__(self) -> None:
        """Sign once, not for every message."""
        proof = hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()
        object.__setattr__(self, "proof", proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAnswer:
    """What reading a profile brought: the profile, or why not.

    ``retry``, ``throttled``: not now; ``forbidden``: the app may not; ``unavailable``, ``refused``: not this one.
    """

    outcome: str
    profile: dict[str, Any] | None = None
    #: Real seconds that the platform asks to wait, where it says so.
    wait: float | None = None
    #: The token was refused: the page must stop.
    bad_token: bool = False


class GraphClient:
    """Posts messages and reads profiles."""

    def __init__(self, url: str, version: str, *, connections: int, deadline: float = ANSWER_DEADLINE) -> None:
        """``connections`` are kept open at most: as many as threads use this; ``deadline`` is real seconds."""
        self._base = f"{url.rstrip('/')}/{version}"
        self._deadline = deadline
        self._session = requests.Session()
        # Proxies and netrc of the environment would send tokens to places nobody configured here, and cost 15 %.
        self._session.trust_env = False
        adapter = WatchedAdapter(connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def post_message(
        self,
        sender: Sender,
        payload: dict[str, Any],
        *,
        path: str | None = None,
        write_by: float = float("inf"),
        last_word: Callable[[], str | None] | None = None,
    ) -> Answer:
        """Post one message, once, to ``path`` (the page's own messages, unless told otherwise).

        Never raises; never retries.

        Not a byte of it leaves after ``write_by`` (``time.monotonic()``): a slow connect must not carry a message out
        of the time for which it was permitted. ``last_word`` is asked just before the first byte: a reason it gives
        keeps the message back.
        """
        try:
            status, headers, body = self._request(
                "POST", path or f"{sender.external_id}/messages", sender,
                document=payload, params={}, write_by=write_by, last_word=last_word,
            )  # fmt: skip
        except _FAILURES as error:
            return _of_failure(error)
        recipient = payload.get("recipient")
        psid = recipient.get("id") if isinstance(recipient, dict) else None
        answer = understand(status, body, headers, psid=psid)
        if answer.reason == TO_ANOTHER:
            watch.distrust()
        return answer

    def read_page(self, sender: Sender) -> Answer:
        """Read the page's own node, as a look whether the platform serves the page again. Never raises.

        Accepted (``sent``) means that it answered with that page; else what is wrong, as for a message.
        """
        try:
            status, headers, body = self._request(
                "GET", sender.external_id, sender, document=None, params={"fields": "id,name"}
            )
        except _FAILURES as error:
            return _of_failure(error)
        page = _object(body)
        if 200 <= status < 300 and "error" not in page and str(page.get("id")) == sender.external_id:
            return Answer(kind="sent", http_status=status)
        return understand(status, body, headers)

    def read_profile(self, sender: Sender, psid: str) -> ProfileAnswer:
        """Read a person's profile. Never raises; whether to ask again is the caller's business."""
        try:
            status, headers, body = self._request(
                "GET", psid, sender, document=None, params={"fields": _PROFILE_FIELDS}
            )
        except _FAILURES:
            return ProfileAnswer(outcome="retry")
        return _of_profile(status, headers, body)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _request(
        self,
        method: str,
        path: str,
        sender: Sender,
        *,
        document: dict[str, Any] | None,
        params: dict[str, str],
        write_by: float = float("inf"),
        last_word: Callable[[], str | None] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        watch.written, watch.held_back = False, None
        watch.write_by, watch.last_word = write_by, last_word
        watch.deadline = time.monotonic() + self._deadline
        request = _prepared(method, f"{self._base}/{quote(path, safe='/:')}", sender, params, document)
        with self._session.get_adapter(self._base).send(
            request, stream=True, timeout=(CONNECT_TIMEOUT, self._deadline), verify=True
        ) as answer:
            body = bytearray()
            for chunk in answer.iter_content(16_384):
                body += chunk
                if len(body) > _LONGEST_ANSWER:
                    raise requests.exceptions.ContentDecodingError("the answer is too long to be one")
            return answer.status_code, answer.headers, bytes(body)  # type: ignore[return-value]  # a case-insensitive dict


def _prepared(
    method: str, url: str, sender: Sender, params: dict[str, str], document: dict[str, Any] | None
) -> requests.PreparedRequest:
    """A request as ``requests`` would prepare it, without the half of its cost that goes into cookies and proxies."""
    request = requests.PreparedRequest()
    request.method = method
    query = f"{urlencode(params)}&" if params else ""
    request.url = f"{url}?{query}appsecret_proof={sender.proof}"
    # Plain: whoever looks one up writes it as it is written here.
    headers = {
        "User-Agent": _USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        # In the header and not in the query: addresses end up in logs.
        "Authorization": f"Bearer {sender.token}",
    }
    if document is not None:
        request.body = json.dumps(document, allow_nan=False).encode()
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(request.body))
    request.headers = headers  # type: ignore[assignment]  # a mapping, as the adapter wants
    return request


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_failure(error: BaseException) -> Answer:
    if watch.held_back is not None:
        # The platform may be fine, but too far away just now, or the page has sent enough.
        return Answer(kind="not_sent", reason=watch.held_back, retry=True)
    if not watch.written and short_of_something(error):
        # The platform has nothing to do with it: its breaker hears nothing of it.
        return Answer(kind="not_sent", reason=NO_MEANS, retry=True)
    if not watch.written:
        # Refused, timed out while connecting, no such host, no TLS: not a byte of the request has left.
        return Answer(kind="not_sent", reason="unreachable_platform", retry=True)
    timed_out = isinstance(error, (requests.Timeout, TimeoutError)) or "timed out" in str(error).lower()
    return Answer(kind="in_doubt", reason="no_answer" if timed_out else "connection_lost")


def _of_profile(status: int, headers: dict[str, str], body: bytes) -> ProfileAnswer:
    answer = understand(status, body, headers)
    if answer.code is None and status == 200:
        profile = _object(body)
        known = {name: profile[name] for name in _PROFILE_FIELDS.split(",") if name in profile}
        # A profile that may not be read comes as an empty object.
        return ProfileAnswer(outcome="read", profile=known) if known else ProfileAnswer(outcome="unavailable")
    if answer.reason == "bad_token":
        return ProfileAnswer(outcome="retry", bad_token=True)
    if answer.effect == "throttle":
        return ProfileAnswer(outcome="throttled", wait=answer.wait)
    if status >= 500 or (answer.code in (1, 2, 1200) and answer.reason != "no_permission"):
        return ProfileAnswer(outcome="retry")
    codes = (answer.code, answer.subcode)
    if _MAY_NOT_READ in codes or answer.reason == "bad_proof":
        return ProfileAnswer(outcome="forbidden")
    # Code 100 speaks of this id, whatever else it says.
    if _NO_PROFILE in codes or answer.code == 100:
        return ProfileAnswer(outcome="unavailable")
    permission = answer.reason in ("no_permission", "page_restricted") or answer.code in _PERMISSIONS
    return ProfileAnswer(outcome="forbidden" if permission else "refused")
