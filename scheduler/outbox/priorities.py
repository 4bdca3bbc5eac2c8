"""Which of one person's messages goes first: what they asked for, then service, then promotions by their campaigns."""

from __future__ import annotations

from typing import Literal

Precedence = Literal["requested", "service", "promotional"]

#: A person asked for this very message.
REQUESTED = 2_000
#: What is not a promotion: about an order, an account, a question.
SERVICE = 1_000
#: A promotion's priority is its campaign's own, between these two; 0 unless the campaign says otherwise.
LOWEST, HIGHEST = -100, 100


def priority_of(category: str, *, requested: bool = False, own: int = 0) -> int:
    """The priority of a message: the higher goes first. ``own`` is what its campaign asks for among promotions."""
    if requested:
        return REQUESTED
    return own if category == "promotional" else SERVICE


def precedence(priority: int) -> Precedence:
    """The class that a stored priority belongs to."""
    if priority >= REQUESTED:
        return "requested"
    return "service" if priority >= SERVICE else "promotional"
