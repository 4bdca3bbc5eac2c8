"""Security events: what somebody tried who may not, or took more of than there is for one.

Each is counted at once, by kind and source, in a few microseconds; within a second written down, for ``/metrics`` and
``duly ops status``; and told in the log at most once a minute a kind. What was tried, a key or a token, is never kept.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from scheduler import clock
from scheduler.access.security import note_security
from scheduler.api.sources import network_of
from scheduler.api.webhook_aside import Aside
from scheduler.errors import DulyError
from scheduler.logs import complain, get_logger
from scheduler.store import database

_log = get_logger(__name__)

#: Kind → in words, after a number of requests or connections.
WORDS: Final = {
    "wrong_key": "requests came with an unknown or revoked API key",
    "wrong_signature": "webhooks were not signed with the secret of any app of ours",
    "wrong_verify_token": "handshakes came with a wrong verify token",
    "rate_limited": "requests were over a rate limit",
    "malformed": "requests could not be read as HTTP",
    "head_too_large": "requests had too many or too large headers",
    "too_many_requests": "connections sent too many requests ahead",
    "slow_head": "connections did not send their headers in time",
    "slow_body": "connections did not send their body in time",
    "slow_reader": "connections did not read their answer",
    "too_many_connections": "connections were dropped, for their address had too many",
    "too_many_bytes": "requests were dropped, for all together had sent too much",
    "no_room": "connections were refused, for there were too many",
}

#: Real seconds between two writes, and between two lines of the log about a kind.
_PAUSE = 1.0
_SILENCE = 60.0
#: Sources that are told apart until the next write, and that a line of the log names.
_MOST_SOURCES, _NAMED = 1000, 5
_OTHERS = "others"


class SecurityEvents(Aside[Counter[tuple[str, str]]]):
    """Those of this process."""

    def __init__(self) -> None:
        super().__init__("security-events", _PAUSE)
        self._counted: Counter[tuple[str, str]] = Counter()
        #: Kind → source → how many since the last line of the log; and when that was.
        self._untold: dict[str, Counter[str]] = {}
        self._told_at: dict[str, float] = {}

    def count(self, kind: str, source: str) -> None:
        """One of ``WORDS`` happened. Waits for nothing."""
        with self._turn:
            key = (kind, source)
            if key not in self._counted and len(self._counted) >= _MOST_SOURCES:
                key = (kind, _OTHERS)
            self._counted[key] += 1
            self._wake()

    def _take(self) -> Counter[tuple[str, str]] | None:
        if not self._counted:
            return None
        taken, self._counted = self._counted, Counter()
        return taken

    def _do(self, work: Counter[tuple[str, str]]) -> bool:
        by_kind: dict[str, Counter[str]] = {}
        for (kind, source), many in work.items():
            by_kind.setdefault(kind, Counter())[source] += many
        for kind, sources in by_kind.items():
            untold = self._untold.setdefault(kind, Counter())
            untold.update(sources)
            self._tell(kind, untold)
        try:
            with database.session("health") as session:
                note_security(
                    session,
                    {kind: (sources.total(), sources.most_common(1)[0][0]) for kind, sources in by_kind.items()},
                    clock.now(),
                )
        except (DulyError, SQLAlchemyError) as error:
            # They are in the log.
            complain(_log, "security_events_not_kept", "", error=type(error).__name__)
        return True

    def _tell(self, kind: str, untold: Counter[str]) -> None:
        present = time.monotonic()
        if present - self._told_at.get(kind, float("-inf")) >= _SILENCE:
            self._told_at[kind] = present
            _log.warning(
                "security_event", kind=kind, many=untold.total(), sources=dict(untold.most_common(_NAMED)),
            )  # fmt: skip
            untold.clear()
        elif len(untold) > _MOST_SOURCES:
            rest = untold.total()
            untold.clear()
            untold[_OTHERS] = rest


_present = [SecurityEvents()]


def open_security_events() -> None:
    """Begin to count; called by the application when it starts."""
    _present[0] = SecurityEvents()


def close_security_events() -> None:
    """Write down what was counted; called by the application when it ends."""
    _present[0].close()


def seen(kind: str, address: str) -> None:
    """One of ``WORDS`` happened, from that address. Waits for nothing."""
    _present[0].count(kind, network_of(address))
