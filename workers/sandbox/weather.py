"""How webhooks travel: told several times, late, in another order, never. Fair, unless a test asks for worse."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Weather:
    """Shares are of all events, from 0 to 1; seconds are real."""

    #: Events that come several times over, and how often.
    repeated: float = 0.0
    copies: int = 5
    #: Events that come late, and by how much at most. Those of one message overtake each other.
    late: float = 0.0
    latest: float = 0.0
    #: Echoes that never come.
    lost: float = 0.0


@dataclass(slots=True, kw_only=True)
class Journey:
    """What one event meets: real seconds before each time it is told. Empty: never."""

    pauses: tuple[float, ...]


def journey(weather: Weather, seed: str, *, may_vanish: bool) -> Journey:
    """The same ``seed`` always meets the same."""
    chance = random.Random(seed)
    if may_vanish and chance.random() < weather.lost:
        return Journey(pauses=())
    first = chance.uniform(0, weather.latest) if chance.random() < weather.late else 0.0
    copies = weather.copies if chance.random() < weather.repeated else 1
    return Journey(pauses=(first, *(first + chance.uniform(0.05, 4.0) for _ in range(copies - 1))))
