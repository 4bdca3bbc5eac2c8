"""A message's states by name, and the row that each arrow between them leaves behind (``arrows.py`` has the arrows)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

LANES = ("utility", "promotional")

#: Nothing of it has left the house.
UNSENT = ("scheduled", "due")
#: The platform accepted it; each state implies those before it.
ACCEPTED = ("sent", "delivered", "read")
#: An attempt of it may be on the wire.
IN_FLIGHT = ("sending", "in_doubt")
#: Needs a person.
DEAD_LETTERS = ("unconfirmed", "dead", "refused")

STATES = (
    "scheduled", "due", "sending", "in_doubt", "unconfirmed", "sent", "delivered", "read", "refused", "denied",
    "expired", "cancelled", "dead",
)  # fmt: skip


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
    holidays: str | None = None
    #: The ``min_remaining`` that the decision was taken with, seconds.
    guard: int | None = None
    facts: dict[str, Any] | None = None
    #: Of what a delivery put aside: its page, by which it is seen to get on.
    page_id: int | None = None


_COLUMNS = tuple(LogRow.__slots__)
#: One parameter whatever the number of rows: the ORM's own bulk insert costs as much as all else that a batch writes.
_APPEND = text(f"""
    INSERT INTO message_log ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM json_to_recordset(CAST(:rows AS json)) AS r (
        message_id bigint, at bigint, from_state text, to_state text, actor text, attempt_id bigint, reason text,
        verdict text, until bigint, because text[], ground text, policy_version text, tzdata text, holidays text,
        guard integer, facts jsonb, page_id integer)
""")  # noqa: S608 - our own column names


def append_log(session: Session, rows: Sequence[LogRow]) -> None:
    """Append the rows, in the caller's transaction: the one that moved the messages."""
    if rows:
        session.flush()
        document = json.dumps([{name: getattr(row, name) for name in _COLUMNS} for row in rows])
        session.connection().execute(_APPEND, {"rows": document})
