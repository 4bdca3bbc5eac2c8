"""What is wrong with webhooks, counted by page and reason: what was refused, and what nobody understood.

Rolled up: a row for each page and reason, and one for each ten seconds of the last hour. So a flood costs a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.clock import real_seconds
from scheduler.inbox.arrivals import ODD

#: Refused before anybody knew who sent it: no signature, or one that none of our apps' secrets made; too large to be
#: read; signed with none of the secrets that can be unsealed, while there is one that cannot.
REFUSED = ("unsigned", "bad_signature", "too_large", "secret_unreadable")
#: Signed and kept, and yet nothing followed: a shape that is not known, a page of no app of ours, what could not be
#: applied.
REASONS = (*REFUSED, *ODD, "unknown_page", "not_applied")
#: In place of a page: none that is registered here.
NO_PAGE = 0

#: Real seconds: how long a row counts for, in which so many make an alert, and for which rows are kept.
_SPAN = 10
RECENT = 300
ENOUGH = 3
_KEPT = 3600

_ADD = text("""
    INSERT INTO webhook_trouble (page_id, reason, at, many, last_at)
    SELECT given.page_id, given.reason, place.at, given.many, :now
    FROM unnest(CAST(:pages AS integer[]), CAST(:reasons AS text[]), CAST(:counts AS bigint[]))
        AS given (page_id, reason, many)
    CROSS JOIN (VALUES (CAST(0 AS bigint)), (CAST(:span AS bigint))) AS place (at)
    ORDER BY given.page_id, given.reason, place.at
    ON CONFLICT (page_id, reason, at) DO UPDATE
    SET many = webhook_trouble.many + excluded.many, last_at = greatest(webhook_trouble.last_at, excluded.last_at)
""")
_FORGET = text("DELETE FROM webhook_trouble WHERE at > 0 AND at < :before")
_TOLD = text("""
    SELECT p.external_id AS page, t.reason, t.many AS total, t.last_at, coalesce((
        SELECT sum(r.many) FROM webhook_trouble r
        WHERE r.page_id = t.page_id AND r.reason = t.reason AND r.at > :since
    ), 0) AS recent
    FROM webhook_trouble t LEFT JOIN page p ON p.id = t.page_id
    WHERE t.at = 0 ORDER BY t.last_at DESC, t.page_id, t.reason
""")


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What was wrong with webhooks of a page for one reason."""

    #: The platform's id of the page; None: of no page that is registered here, as far as they tell.
    page: str | None
    reason: str
    #: Ever, and in the last five real minutes.
    total: int
    recent: int
    last_at: int

    @property
    def alerting(self) -> bool:
        """Whether a person should look.

        Not for what strangers send: whoever names no page of ours, and signs with no secret of ours, may be anybody.
        """
        return self.recent >= ENOUGH and (self.page is not None or self.reason not in REFUSED[:3])


def note_troubles(session: Session, counts: Mapping[tuple[int, str], int], now: int) -> None:
    """Add these: (page id or ``NO_PAGE``, one of ``REASONS``) → how many more."""
    if not counts:
        return
    values: dict[str, Any] = {
        "pages": [page for page, _ in counts],
        "reasons": [reason for _, reason in counts],
        "counts": list(counts.values()),
        "now": now,
        # Never 0, which stands for all of time.
        "span": max(1, now - now % max(1, real_seconds(_SPAN))),
    }
    session.connection().execute(_ADD, values)
    session.connection().execute(_FORGET, {"before": now - real_seconds(_KEPT)})


def troubles(session: Session, now: int) -> list[Trouble]:
    """All that was counted, what happened last first: as many as there are pages times reasons at most."""
    rows = session.connection().execute(_TOLD, {"since": now - real_seconds(RECENT)})
    return [
        Trouble(page=row.page, reason=row.reason, total=int(row.total), recent=int(row.recent), last_at=row.last_at)
        for row in rows
    ]
