"""Processes whose clocks are wrong: who they are and by how much, for whoever operates Duly.

Times here are the database's Unix time: that clock is the one all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

#: Real seconds for which a process's word stands, and after which it is forgotten.
STANDS = 60
_FORGOTTEN = 86_400

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")
_KEEP = text("""
    WITH forgotten AS (DELETE FROM clock_skew WHERE looked_at < :before AND host <> :host)
    INSERT INTO clock_skew (host, ahead_ms, looked_at, web) VALUES (:host, :ahead, :theirs, :web)
    ON CONFLICT (host) DO UPDATE SET ahead_ms = excluded.ahead_ms, looked_at = excluded.looked_at, web = excluded.web
""")
_DROP = text("DELETE FROM clock_skew WHERE host = :host")
_FRESH = text("SELECT host, ahead_ms, web FROM clock_skew WHERE looked_at >= :since ORDER BY host")


@dataclass(slots=True, frozen=True, kw_only=True)
class Skew:
    """A process that does nothing, for its clock is wrong or the database's is."""

    host: str
    #: Seconds by which its clock is ahead; below zero: behind.
    ahead: float
    #: A web process; else the workers of a machine.
    web: bool = False

    @property
    def words(self) -> str:
        """What is wrong, and what follows from it."""
        side = "ahead of" if self.ahead > 0 else "behind"
        follows = "it takes no webhooks and no changes, the platform delivers again" if self.web else "it sends nothing"
        return f"the clock of {self.host} is {abs(self.ahead):.1f} s {side} the database's: {follows}"


def database_time(session: Session) -> float:
    """The database's clock, Unix time with its fraction."""
    return float(session.connection().execute(_NOW).scalar_one())


def tell_skew(session: Session, host: str, ahead: float | None, *, web: bool = False) -> None:
    """Keep that ``host`` (of a web process its name) is ``ahead`` by so many seconds; None: its clock is right."""
    if ahead is None:
        session.connection().execute(_DROP, {"host": host})
    else:
        theirs = int(database_time(session))
        session.connection().execute(
            _KEEP,
            {"host": host, "ahead": round(ahead * 1000), "theirs": theirs, "web": web, "before": theirs - _FORGOTTEN},
        )


def skews(session: Session) -> list[Skew]:
    """The processes that said within a minute that their clocks are wrong."""
    rows = session.connection().execute(_FRESH, {"since": int(database_time(session)) - STANDS})
    return [Skew(host=row.host, ahead=row.ahead_ms / 1000, web=row.web) for row in rows]
