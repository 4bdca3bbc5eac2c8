"""Delivers webhooks: signed, within 5 s, tried a few more times, in order for each person, each at least once."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

from workers.sandbox.clock import Clock
from workers.sandbox.events import signatures

#: Real seconds that the receiver has to answer 200.
TIMEOUT = 5.0
#: Real seconds before each further try; after the last one the event is given up. (The platform goes on for hours.)
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 16.0, 16.0, 32.0)
_THREADS = 8

#: Told of every answer: (status or None, real instant of the answer, which try it was).
OnAnswer = Callable[[int | None, float, int], None]


class Webhooks:
    """Posts to one receiver from several threads."""

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        """``url`` is the receiver's ``http(s)://host:port/path``; bodies are signed with ``secret``."""
        self._url = url
        parts = urlsplit(url)
        self._https, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = parts.path or "/"
        self._secret, self._clock = secret, clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")
        self._mine = threading.local()
        self._turns: dict[str, asyncio.Lock] = {}

    async def deliver(self, psid: str, body: bytes, on_answer: OnAnswer | None = None) -> bool:
        """Deliver one event; true when it was acknowledged with 200. A person's events go in the order of the calls."""
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(psid, asyncio.Lock()):
            for number, pause in enumerate((0.0, *PAUSES), start=1):
                await asyncio.sleep(pause)
                status, real = await loop.run_in_executor(self._pool, self._post, body)
                if on_answer is not None:
                    on_answer(status, real, number)
                if status == 200:
                    return True
        return False

    async def handshake(self, verify_token: str) -> bool:
        """Ask the receiver to prove that it knows the verify token, as a subscription does."""
        challenge = "1158201444"
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(self._pool, self._get, urlencode(query))
        return status == 200 and answer.decode("utf-8", "replace").strip().strip('"') == challenge

    def close(self) -> None:
        """Send nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _post(self, body: bytes) -> tuple[int | None, float]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            **signatures(self._secret, body),
        }
        status, _answer = self._exchange("POST", self._path, body, headers)
        return status, self._clock.read().real

    def _get(self, query: str) -> tuple[int | None, bytes]:
        return self._exchange("GET", f"{self._path}?{query}", None, {"User-Agent": "facebookplatform/1.0"})

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int | None, bytes]:
        """One request over this thread's connection. No answer is (None, b"")."""
        kept: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        for connection in filter(None, (kept, self._connection())):
            try:
                connection.request(method, path, body, headers)
                with connection.getresponse() as answer:
                    content = answer.read()
                    closing = answer.will_close
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._mine.connection = None
                # The receiver had closed the kept connection while it was idle: that says nothing about this event.
                if connection is kept and isinstance(error, (ConnectionError, http.client.RemoteDisconnected)):
                    continue
                return None, b""
            self._mine.connection = None if closing else connection
            return answer.status, content
        return None, b""

    def _connection(self) -> http.client.HTTPConnection:
        made = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        return made(self._host, self._port, timeout=TIMEOUT)
