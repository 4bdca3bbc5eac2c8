"""The connections of a web process: how many there may be, for how long, and how much they may hold.

A stranger who opens connections refuses nobody else: whoever has most loses the oldest that asked for nothing yet. A
request that is complete is never dropped for another's sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from scheduler.api.security_events import seen
from scheduler.settings import Settings

#: Real seconds between two looks at all connections.
EVERY = 0.5
#: A connection is left alone for so many real seconds: what it wants to say may be on its way.
_GRACE = 1.0
#: Bytes of unfinished bodies that nobody with a key vouches for, over all connections; and below which a body is never
#: dropped for it: a STOP is small.
MOST_PENDING = 48 * 1024 * 1024
_SMALL = 16 * 1024
#: Bytes that a body, or the reading of an answer, must bring along to get another real second.
_PACE = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What connections are held to. Durations are real seconds."""

    connections: int = 2000
    per_address: int = 200
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    answer_seconds: float = 20.0
    #: Addresses of proxies, which carry everybody's connections.
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """As they are set."""
        return cls(
            connections=settings.web_connections,
            per_address=settings.web_connections_per_address,
            head_seconds=settings.web_head_seconds,
            body_seconds=settings.web_body_seconds,
            answer_seconds=settings.web_answer_seconds,
            proxies=tuple(ip_network(each) for each in settings.proxies),
        )

    def is_proxy(self, address: str) -> bool:
        """Whether a proxy that is trusted has this address."""
        return bool(address) and any(ip_address(address) in each for each in self.proxies)


class Member(Protocol):
    """A connection, as the crowd sees it."""

    address: str
    #: On the crowd's clock: when it was made, and when what it is at began.
    made_at: float
    since: float
    #: Bytes of the present request's body so far.
    taken: int

    @property
    def waiting(self) -> bool:
        """Whether the connection's next step is its client's: to send a request, or the rest of one."""

    @property
    def sending_a_body(self) -> bool:
        """Whether a body has begun and not ended."""

    def overdue(self, now: float, bounds: Bounds) -> str | None:
        """What took too long, as a kind of security event; empty: an idle connection is at its end; None: nothing."""

    def drop(self) -> None:
        """End it at once, whatever is under way."""


class Crowd:
    """All connections of one server. Lives in its event loop."""

    def __init__(self, bounds: Bounds, loop: asyncio.AbstractEventLoop) -> None:
        self.bounds = bounds
        #: The loop's time at the last look: exact enough for limits of seconds, and free.
        self.now = loop.time()
        #: Bytes of unfinished bodies.
        self.pending = 0
        self._loop = loop
        self._all: dict[Member, None] = {}
        self._of: dict[str, dict[Member, None]] = {}
        loop.call_later(EVERY, self._look)

    def enter(self, member: Member) -> bool:
        """Take a new connection in; False where there is no room for it."""
        if len(self._all) >= self.bounds.connections:
            self.now = self._loop.time()
            fullest = max(self._of.values(), key=len)
            if not self._shed(fullest) and not self._shed(self._all):
                return False
        self._all[member] = None
        self._of.setdefault(member.address, {})[member] = None
        return True

    def leave(self, member: Member) -> None:
        """It is gone."""
        self._all.pop(member, None)
        theirs = self._of.get(member.address)
        if theirs is not None:
            theirs.pop(member, None)
            if not theirs:
                del self._of[member.address]

    def take(self, size: int) -> None:
        """So many more bytes of an unfinished body came."""
        self.pending += size
        if self.pending > MOST_PENDING:
            sending = [each for each in self._all if each.sending_a_body and each.taken > _SMALL]
            if sending:
                self._drop(max(sending, key=lambda each: each.taken), "too_many_bytes")

    def _look(self) -> None:
        self._loop.call_later(EVERY, self._look)
        self.now = self._loop.time()
        for member in list(self._all):
            reason = member.overdue(self.now, self.bounds)
            if reason is not None:
                self._drop(member, reason)
        for address, theirs in list(self._of.items()):
            if len(theirs) > self.bounds.per_address and not self.bounds.is_proxy(address):
                while len(theirs) > self.bounds.per_address and self._shed(theirs):
                    pass

    def _shed(self, members: Iterable[Member]) -> bool:
        """Drop the first of ``members``, which are in the order of their coming, that waits for its client."""
        for member in members:
            if self.now - member.made_at < _GRACE:
                # Nor is any after it.
                return False
            if member.waiting:
                self._drop(member, "too_many_connections")
                return True
        return False

    def _drop(self, member: Member, reason: str) -> None:
        if reason:
            seen(reason, member.address)
        self.leave(member)
        member.drop()


def extended(seconds: float, size: int) -> float:
    """How long something may take of which ``size`` bytes have come: the more came, the longer."""
    return seconds + size / _PACE
