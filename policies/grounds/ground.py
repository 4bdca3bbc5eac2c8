"""What every ground has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.case import Case
from policies.intervals import Intervals


@dataclass(frozen=True, slots=True)
class Ground:
    """A reason why a message may be sent, and the times at which it holds."""

    name: str
    #: The times from ``case.now`` on, up to 30 days from then, at which the ground holds.
    times: Callable[[Case], Intervals]
    #: What there is to say about it; None where the case has nothing to do with it.
    words: Callable[[Case], str | None]
    citation: Callable[[Case], str]
