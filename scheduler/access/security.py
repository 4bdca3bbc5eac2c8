"""Security events over all web processes, rolled up: a row for each kind, and one for each ten seconds of an hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.clock import real_seconds

#: Real seconds: how long a row counts for, in which so many make an alert, and for which rows are kept.
_SPAN = 10
RECENT = 300
ENOUGH = 20
_KEPT = 3600

_ADD = text("""
    INSERT INTO security_event (kind, at, many, source, last_at)
    SELECT given.kind, place.at, given.many, CASE WHEN place.at > 0 THEN given.source ELSE '' END, :now
    FROM unnest(CAST(:kinds AS text[]), CAST(:counts AS bigint[]), CAST(:sources AS text[]))
        AS given (kind, many, source)
    CROSS JOIN (VALUES (CAST(0 AS bigint)), (CAST(:span AS bigint))) AS place (at)
    ORDER BY given.kind, place.at
    ON CONFLICT (kind, at) DO UPDATE
    SET many = security_event.many + excluded.many, source = excluded.source,
        last_at = greatest(security_event.last_at, excluded.last_at)
""")
_FORGET = text("DELETE FROM security_event WHERE at > 0 AND at < :before")
_TOLD = text("""
    SELECT e.kind, e.many AS total, e.last_at, coalesce(recent.many, 0) AS recent, recent.source
    FROM security_event e
    LEFT JOIN LATERAL (
        SELECT sum(r.many) AS many, (array_agg(r.source ORDER BY r.many DESC))[1] AS source
        FROM security_event r WHERE r.kind = e.kind AND r.at > :since
    ) recent ON true
    WHERE e.at = 0 ORDER BY e.last_at DESC, e.kind
""")


@dataclass(slots=True, kw_only=True)
class SecurityEvents:
    """What somebody tried who may not, of one kind."""

    kind: str
    #: Ever, and in the last five real minutes.
    total: int
    recent: int
    #: An address that most of the recent ones came from; None: none is recent.
    source: str | None
    last_at: int

    @property
    def alerting(self) -> bool:
        """Whether a person should look."""
        return self.recent >= ENOUGH


def note_security(session: Session, counts: Mapping[str, tuple[int, str]], now: int) -> None:
    """Add these: kind → how many more, and where most came from."""
    values: dict[str, Any] = {
        "kinds": list(counts),
        "counts": [many for many, _ in counts.values()],
        "sources": [source for _, source in counts.values()],
        "now": now,
        # Never 0, which stands for all of time.
        "span": max(1, now - now % max(1, real_seconds(_SPAN))),
    }
    session.connection().execute(_ADD, values)
    session.connection().execute(_FORGET, {"before": now - real_seconds(_KEPT)})


def security_events(session: Session, now: int) -> list[SecurityEvents]:
    """All kinds that ever happened, what happened last first."""
    rows = session.connection().execute(_TOLD, {"since": now - real_seconds(RECENT)})
    return [
        SecurityEvents(
            kind=row.kind, total=int(row.total), recent=int(row.recent), source=row.source or None, last_at=row.last_at
        )
        for row in rows
    ]
