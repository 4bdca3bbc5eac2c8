"""Web processes tell that they live, so that one that is frozen or dead shows: it takes no webhook, and no STOP.

Times here are the database's Unix time: that clock is the one all of them share.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.errors import NotFound
from scheduler.logs import complain, get_logger
from scheduler.metrics import WEB_SILENT
from scheduler.outbox.skews import database_time

_log = get_logger(__name__)

#: Real seconds between two signs of life, and after which there should have been one.
EVERY = 5.0
SILENT_AFTER = 20
#: Real seconds after which a process that another replaced is forgotten. One that none replaced stays an alert until
#: somebody acknowledges that it is gone.
_FORGOTTEN = 86_400

_SEEN = text("""
    INSERT INTO web_process (name, started_at, seen_at) VALUES (:name, :unix, :unix)
    ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at
""")
_GONE = text("DELETE FROM web_process WHERE name = :name")
_ALL = text("SELECT name, started_at, seen_at FROM web_process ORDER BY seen_at, name")
_FORGET = text("DELETE FROM web_process WHERE seen_at < :before AND name <> ALL(:silent)")


@dataclass(slots=True, frozen=True, kw_only=True)
class SilentWeb:
    """A web process that neither ended properly nor goes on, and that no other has replaced."""

    name: str
    #: Real seconds.
    silent_for: float


def tell_alive(session: Session, name: str) -> None:
    """The process of that name goes on: it has just got something done."""
    session.connection().execute(_SEEN, {"name": name, "unix": int(database_time(session))})


def tell_ended(session: Session, name: str) -> None:
    """The process of that name ends as it should."""
    session.connection().execute(_GONE, {"name": name})


def acknowledge_gone(session: Session, name: str, *, actor: str, now: int) -> None:
    """Somebody knows that the process of that name is gone, and that nothing is to take its place. Audited.

    Raises NotFound for a process that is not missed.
    """
    if name not in {each.name for each in silent_webs(session)}:
        raise NotFound(
            f"no web process `{name[:64]}` is missed", field="process", way_out="`duly ops status` shows their names"
        )
    tell_ended(session, name)
    record(session, actor=actor, action="ops.web_gone", subject=f"web:{name}", detail={}, now=now)


def silent_webs(session: Session) -> list[SilentWeb]:
    """The web processes that should go on and do not.

    One that was started after another had fallen silent stands in for it: a supervisor restarts what dies.
    """
    unix = database_time(session)
    rows = session.connection().execute(_ALL).all()
    spare = sorted(row.started_at for row in rows if unix - row.seen_at <= SILENT_AFTER)
    silent = []
    for row in rows:
        if unix - row.seen_at <= SILENT_AFTER:
            continue
        later = next((started for started in spare if started > row.seen_at), None)
        if later is None:
            silent.append(SilentWeb(name=row.name, silent_for=unix - row.seen_at))
        else:
            spare.remove(later)
    return silent


def tell_silent_webs(session: Session) -> int:
    """Log an error, once a minute, for each web process that should go on and does not; count them for Prometheus.

    Returns how many there are. The alerts of ``duly ops status`` tell the same.
    """
    found = silent_webs(session)
    for each in found:
        complain(_log, "web_silent", each.name, process=each.name, seconds=round(each.silent_for))
    WEB_SILENT.set(len(found))
    # What stands in for another must not be forgotten before it: both are old then, and one of them goes on.
    before, missed = int(database_time(session)) - _FORGOTTEN, [each.name for each in found]
    session.connection().execute(_FORGET, {"before": before, "silent": missed})
    return len(found)
