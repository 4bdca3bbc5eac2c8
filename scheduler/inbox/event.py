"""One event on its way through the inbox, and what is told of a whole body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scheduler.inbox.arrivals import Arrival
from scheduler.inbox.meaning import Meaning


@dataclass(slots=True, kw_only=True)
class Delivery:
    """The events of one verified webhook body."""

    #: The app whose secret signed it: events of other apps' pages are kept, not applied.
    app_id: int
    found: Sequence[Arrival]
    #: The id of the request, for the logs.
    request_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Received:
    """What became of a webhook body."""

    #: Events that were new, of those the ones that could not be applied, and copies of events known before.
    new: int = 0
    failed: int = 0
    known: int = 0
    #: Whether people did something, so that there may be messages to send and profiles to read now.
    people: bool = False
    #: (page id, reason) of each new event from which nothing followed that somebody should know of.
    troubles: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Received) -> None:
        """Count what became of another part of the same body."""
        self.new += other.new
        self.failed += other.failed
        self.known += other.known
        self.people = self.people or other.people
        self.troubles += other.troubles


@dataclass(slots=True)
class Event:
    """A platform event, between its arrival and what follows from it."""

    #: The place of its body among those received together.
    body: int
    arrival: Arrival
    #: Apps are told apart: one cannot take another's events away by sending them first.
    key: str
    page_id: int | None
    #: Its instant, milliseconds: the platform's own, but never far ahead of our clock.
    at_ms: int
    #: The platform gave no instant for it, or one that cannot be: what is said in it counts by when it arrived.
    by_arrival: bool | None = None
    meaning: Meaning | None = None
    error: str | None = None
    #: Its row; 0 until it is stored, and for a copy of what was known.
    id: int = 0
    contact_id: int | None = None
    #: Who stands for that contact now: another one where they were merged. What somebody wants is theirs.
    person_id: int | None = None
    #: Its person was erased after it: nothing follows from it, and nothing of them is kept with it.
    of_erased: bool = False
    #: An echo of a message that Duly sent.
    ours: bool = False

    @property
    def at(self) -> int:
        """Its instant, epoch seconds."""
        return self.at_ms // 1000
