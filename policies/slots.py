"""When to send, out of the times at which it is permitted: a schedule's wish, or the contact's own habit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from policies.intervals import Intervals
from policies.local_time import CHUNK, pieces

_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a schedule asks for. Instants are epoch seconds UTC.

    ``earliest``: as soon as it may. ``nearest``: as close to ``at`` as it may, earlier or later; a message whose window
    would close in the night goes out the evening before. ``latest``: as late as it may. ``best_hour``: in the hour of
    the contact's local day in which they were heard of most.
    """

    kind: Literal["earliest", "nearest", "latest", "best_hour"] = "earliest"
    #: The instant that ``nearest`` is near to.
    at: int | None = None
    #: ``best_hour``: how often the contact was heard of in each hour of their local day, from 00 to 23. Empty: never.
    hours: tuple[int, ...] = ()
    #: The zone of those hours, an IANA name; None: UTC.
    zone: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the wish wants a number that it has not."""
        if self.kind == "nearest" and self.at is None:
            raise ValueError("`nearest` needs an instant to be near to: `at`")
        if len(self.hours) not in (0, 24):
            raise ValueError(f"`hours` are 24 counts, one for each hour of the day, not {len(self.hours)}")


def slot(permitted: Intervals, wish: Wish, *, remaining: int = 0) -> int | None:
    """The instant to send at, epoch seconds UTC; None where none has ``remaining`` permitted seconds left after it."""
    instants = [(start, end - 1 - remaining) for start, end in permitted if end - 1 - remaining >= start]
    if not instants:
        return None
    if wish.kind == "nearest":
        return _nearest(instants, wish.at or 0)
    if wish.kind == "latest":
        return instants[-1][1]
    if wish.kind == "best_hour" and any(wish.hours):
        return _best_hour(instants, wish)
    return instants[0][0]


def _nearest(instants: list[tuple[int, int]], at: int) -> int:
    # Both ends are instants that may be chosen. ``min`` keeps the first of equals: the earlier.
    return min((min(max(at, first), last) for first, last in instants), key=lambda instant: abs(instant - at))


def _best_hour(instants: list[tuple[int, int]], wish: Wish) -> int:
    first_in: dict[int, int] = {}
    for first, last in instants:
        for hour, instant in _hours(wish.zone or "UTC", instants[0][0] // CHUNK, first, last):
            first_in.setdefault(hour, instant)
        if len(first_in) == len(wish.hours):
            break
    return min(first_in.items(), key=lambda found: (-wish.hours[found[0]], found[1]))[1]


def _hours(zone: str, chunk: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Each local hour of the day that [first, last] touches, with its first instant there."""
    for start, end, offset in pieces(zone, chunk):
        instant = max(first, start)
        while instant < end and instant <= last:
            local = instant + offset
            yield local // _HOUR % 24, instant
            instant += _HOUR - local % _HOUR
