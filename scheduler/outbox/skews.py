"""Workers whose clocks are wrong: who they are and by how much, for whoever operates Duly.

Times here are the database's Unix time: that clock is the one all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

#: Real seconds for which a worker's word stands.
STANDS = 60

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")
_KEEP = text("""
    INSERT INTO clock_skew (host, ahead_ms, looked_at) VALUES (:host, :ahead, :theirs)
    ON CONFLICT (host) DO UPDATE SET ahead_ms = excluded.ahead_ms, looked_at = excluded.looked_at
""")
_DROP = text("DELETE FROM clock_skew WHERE host = :host")
_FRESH = text("SELECT host, ahead_ms FROM clock_skew WHERE looked_at >= :since ORDER BY host")


@dataclass(slots=True, frozen=True, kw_only=True)
class Skew:
    """A worker that does nothing, for its clock is wrong or the database's is."""

    host: str
    #: Seconds by which its clock is ahead; below zero: behind.
    ahead: float


def database_time(session: Session) -> float:
    """The database's clock, Unix time with its fraction."""
    return float(session.connection().execute(_NOW).scalar_one())


def tell_skew(session: Session, host: str, ahead: float | None) -> None:
    """Keep that ``host`` is ``ahead`` by so many seconds; None: its clock is right."""
    if ahead is None:
        session.connection().execute(_DROP, {"host": host})
    else:
        session.connection().execute(
            _KEEP, {"host": host, "ahead": round(ahead * 1000), "theirs": int(database_time(session))}
        )


def skews(session: Session) -> list[Skew]:
    """The workers that said within a minute that their clocks are wrong."""
    rows = session.connection().execute(_FRESH, {"since": int(database_time(session)) - STANDS})
    return [Skew(host=row.host, ahead=row.ahead_ms / 1000) for row in rows]
