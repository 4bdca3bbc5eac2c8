"""Checks the API key of a request before anything else: without a valid key no body is read."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.access.keys import verify_key
from scheduler.api.caller import STATE
from scheduler.api.problems import answer_to
from scheduler.api.rates import Rates
from scheduler.api.security_events import seen
from scheduler.api.sources import source_of
from scheduler.errors import NotAuthenticated, TooMany
from scheduler.store import database

API = "/api/"

#: Keys that are looked up at a time: others' wrong ones must not take the connections of all.
_LOOK_UPS = 4
#: Keys that were right lately. They are looked up again each time; but also where their address is over its rate.
_REMEMBERED, _LATELY = 1000, 3600.0


class KeyFirst:
    """ASGI middleware: 401 without a known key, 429 for an address or a key that comes too often."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not str(scope["path"]).startswith(API):
            await self._app(scope, receive, send)
            return
        try:
            keys: Keys = scope["app"].state.keys
            scope.setdefault("state", {})[STATE] = await keys.name(scope)
        except Exception as error:  # whatever it is: it is answered as everywhere
            if isinstance(error, TooMany):
                seen("rate_limited", source_of(scope))
            await (await answer_to(Request(scope), error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Keys:
    """Looks up the keys of requests."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._look_ups = CapacityLimiter(_LOOK_UPS)
        #: SHA-256 of a key that was right → when, ``time.monotonic()``.
        self._right: OrderedDict[bytes, float] = OrderedDict()

    async def name(self, scope: Scope) -> str:
        """The name of the key. Raises NotAuthenticated, TooMany."""
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        key = given.strip()
        if scheme.lower() != "bearer" or not key:
            raise NotAuthenticated(way_out="send `Authorization: Bearer duly_…`; `duly key create NAME` makes a key")
        source = source_of(scope)
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        if time.monotonic() - self._right.get(digest, float("-inf")) > _LATELY:
            self._rates.check_failures(source)
        name = await to_thread.run_sync(_key_name, key, limiter=self._look_ups)
        if name is None:
            self._right.pop(digest, None)
            self._rates.count_failure(source)
            seen("wrong_key", source)
            raise NotAuthenticated(
                "the key is unknown or revoked",
                way_out="`duly key list` shows the keys, `duly key create NAME` makes one",
            )
        self._right[digest] = time.monotonic()
        self._right.move_to_end(digest)
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)
        self._rates.count_key(name)
        return name


def _key_name(presented: str) -> str | None:
    """The name of the key, looked up in a transaction of its own; None when it is unknown or revoked."""
    with database.session("read") as session:
        return verify_key(session, presented)
