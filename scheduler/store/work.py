"""Kinds of work, and what each may ask of the database: how many connections of its own, and for how long.

Each kind has its own pool, so no other kind can use up the connections of webhooks. The limits are set by the options
of a connection when it is made: no request pays a round trip for them. Migrations have their own and no limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scheduler.settings import Settings

Work = Literal["webhook", "read", "write", "upload", "heavy", "health", "worker", "command"]


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """What one kind of work may ask for. Real seconds; 0: no limit."""

    statement: float
    lock: float
    #: Between two statements of one transaction.
    idle: float
    #: For a connection of the pool.
    pool: float = 10.0

    @property
    def options(self) -> str:
        """As options of a connection."""
        return (
            f"-c statement_timeout={round(self.statement * 1000)} -c lock_timeout={round(self.lock * 1000)} "
            f"-c idle_in_transaction_session_timeout={round(self.idle * 1000)}"
        )


LIMITS: dict[Work, Limits] = {
    # The platform waits for some ten seconds, then it delivers again.
    "webhook": Limits(statement=8, lock=5, idle=15, pool=5),
    "read": Limits(statement=10, lock=5, idle=30),
    "write": Limits(statement=30, lock=10, idle=60),
    # A file of a million rows is one statement.
    "upload": Limits(statement=300, lock=10, idle=60),
    "heavy": Limits(statement=20, lock=5, idle=60),
    # Whoever asks whether it is well wants to know soon.
    "health": Limits(statement=4, lock=2, idle=15, pool=4),
    # A task is killed after 60 s.
    "worker": Limits(statement=50, lock=30, idle=120, pool=30),
    # A person waits, or a script that knows what it asks for.
    "command": Limits(statement=0, lock=30, idle=120, pool=30),
}


def connections(settings: Settings, work: Work) -> int:
    """How many connections a process has for this kind of work, at most."""
    match work:
        case "webhook":
            return settings.webhook_pool
        case "read":
            return max(1, settings.database_pool - settings.database_pool // 2)
        case "write":
            return max(1, settings.database_pool // 2)
        case "upload":
            return 2
        case "heavy":
            return settings.heavy_reads
        case "health":
            return 3
        case _:
            return settings.database_pool
