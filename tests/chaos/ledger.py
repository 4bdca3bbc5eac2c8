"""What Duly says happened: messages, attempts, wishes and suppressions, read from its database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import create_engine, make_url
from sqlmodel import Session

from scheduler.outbox.ledger import faults

#: The platform has it; each implies the one before.
ACCEPTED = frozenset({"sent", "delivered", "read"})
#: Nothing more happens to it by itself.
TERMINAL = ACCEPTED | {"refused", "denied", "expired", "cancelled", "unconfirmed", "dead"}


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One reading of it."""

    messages: dict[int, dict[str, Any]]
    attempts: dict[int, dict[str, Any]]
    #: Campaign id → (contacts it was launched to, those of them without a message).
    campaigns: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: Keys of business events that Duly has, each with the number of its messages.
    events: dict[str, int] = field(default_factory=dict)
    #: People who opted out of everything, as far as Duly knows.
    opted_out: set[str] = field(default_factory=set)
    #: What the log of messages has that the table of arrows does not explain.
    faults: list[str] = field(default_factory=list)

    @property
    def states(self) -> dict[str, int]:
        """Messages by state, the most frequent first."""
        return dict(Counter(message["state"] for message in self.messages.values()).most_common())

    @property
    def reasons(self) -> dict[str, dict[str, int]]:
        """State → reason → messages."""
        found: dict[str, Counter[str]] = {}
        for message in self.messages.values():
            if message["reason"]:
                found.setdefault(message["state"], Counter())[message["reason"]] += 1
        return {state: dict(counts.most_common()) for state, counts in found.items()}


def read_ledger(url: str) -> Ledger:
    """Read it all, at one instant; and hold the whole log against the table of arrows."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        broken = [f"message {fault.message_id}: {fault.kind}: {fault.what}" for fault in faults(session)]
    engine.dispose()
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

        def rows(statement: str) -> list[dict[str, Any]]:
            return connection.execute(statement).fetchall()

        return Ledger(
            faults=broken,
            messages={
                row["id"]: row
                for row in rows("""
                    SELECT m.id, m.state, m.reason, m.mid, m.category, m.attempts, m.campaign_id, m.due_at, m.wakes_on,
                        c.psid FROM message m JOIN contact c ON c.id = m.contact_id
                """)
            },
            attempts={
                row["id"]: row for row in rows("SELECT id, message_id, outcome, code, mid, settled_at FROM attempt")
            },
            campaigns={
                row["id"]: (row["audience"], row["missing"])
                for row in rows("""
                    SELECT c.id, count(k.id) AS audience, count(k.id) FILTER (WHERE m.id IS NULL) AS missing
                    FROM campaign c
                    JOIN contact k ON k.page_id = c.page_id AND k.created_at <= c.launched_at
                    LEFT JOIN message m ON m.campaign_id = c.id AND m.contact_id = k.id
                    WHERE c.launched_at IS NOT NULL GROUP BY c.id
                """)
            },
            events={
                row["key"]: row["messages"]
                for row in rows("""
                    SELECT e.key, count(m.id) AS messages FROM business_event e
                    LEFT JOIN message m ON m.event_id = e.id GROUP BY e.id, e.key
                """)
            },
            opted_out={
                row["psid"]
                for row in rows("""
                    SELECT c.psid FROM suppression s JOIN contact c ON c.id = s.contact_id
                    WHERE s.reason = 'opted_out' AND s.topic IS NULL AND s.lifted_at IS NULL
                """)
            },
        )
