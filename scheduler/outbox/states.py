"""A message's states, the arrows between them, and the row that each arrow leaves behind.

scheduled → due → sending → sent → delivered → read
               │         ├→ refused       the platform said no, for good
               │         ├→ due           proven not sent
               │         └→ in_doubt → sent | unconfirmed → sent
               └→ scheduled | denied | expired
any unsent → cancelled                    three crashes while sending → dead
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from scheduler.outbox.tables import MessageLog

LANES = ("utility", "promotional")

#: Nothing of it has left the house.
UNSENT = ("scheduled", "due")
#: The platform accepted it; each state implies those before it.
ACCEPTED = ("sent", "delivered", "read")
#: An attempt of it may be on the wire.
IN_FLIGHT = ("sending", "in_doubt")
#: Needs a person.
DEAD_LETTERS = ("unconfirmed", "dead", "refused")

#: What a state may become by our own doing. Evidence is never fenced: it takes any state to an accepted one.
ARROWS: dict[str | None, frozenset[str]] = {
    None: frozenset({"scheduled", "denied"}),
    "scheduled": frozenset({"due", "expired", "cancelled"}),
    "due": frozenset({"sending", "scheduled", "denied", "expired", "cancelled", "refused"}),
    "sending": frozenset({"sent", "refused", "due", "in_doubt", "dead"}),
    "in_doubt": frozenset({"sent", "refused", "due", "unconfirmed", "dead"}),
    "unconfirmed": frozenset({"sent"}),
    "sent": frozenset({"delivered", "read"}),
    "delivered": frozenset({"read"}),
    "read": frozenset(),
    "refused": frozenset(),
    "denied": frozenset(),
    "expired": frozenset(),
    "cancelled": frozenset(),
    "dead": frozenset(),
}
STATES: tuple[str, ...] = tuple(state for state in ARROWS if state is not None)


@dataclass(slots=True, kw_only=True)
class LogRow:
    """One arrow of a message's way, with the decision behind it where one was taken."""

    message_id: int
    at: int
    from_state: str | None
    to_state: str
    actor: str
    attempt_id: int | None = None
    reason: str | None = None
    verdict: str | None = None
    until: int | None = None
    because: list[str] | None = None
    ground: str | None = None
    policy_version: str | None = None
    tzdata: str | None = None
    #: The ``min_remaining`` that the decision was taken with, seconds.
    guard: int | None = None
    facts: dict[str, Any] | None = None


_COLUMNS = tuple(LogRow.__slots__)


def append_log(session: Session, rows: Sequence[LogRow]) -> None:
    """Append the rows, in the caller's transaction: the one that moved the messages."""
    if rows:
        session.execute(insert(MessageLog), [{name: getattr(row, name) for name in _COLUMNS} for row in rows])
