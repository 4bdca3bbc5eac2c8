"""Dead letters that nobody has dealt with: by cause, one by one, and chosen for an act. Reads only.

A cause is what they have in common: state, reason, the platform's code and subcode, page and template. Its key is a
hash of these: the same cause has the same key tomorrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

_OPEN = """
    SELECT m.id, m.state, m.reason, m.state_at, m.campaign_id, m.resend_of, m.crashes, m.contact_id, m.lane,
        a.code, a.subcode, a.http_status, p.external_id AS page, t.name AS template,
        left(md5(concat_ws('|', m.state, coalesce(m.reason, ''), coalesce(CAST(a.code AS text), ''),
            coalesce(CAST(a.subcode AS text), ''), p.id, t.name)), 12) AS cause
    FROM message m JOIN page p ON p.id = m.page_id JOIN template t ON t.id = m.template_id
    LEFT JOIN LATERAL (
        SELECT code, subcode, http_status FROM attempt WHERE message_id = m.id ORDER BY id DESC LIMIT 1
    ) a ON true
    WHERE m.state IN ('refused', 'unconfirmed', 'dead') AND m.handled_at IS NULL
"""
_CAUSE = "cause, state, reason, code, subcode, page, template"
_GROUPED = f"{_CAUSE}, count(*) AS count, min(state_at) AS first_seen, max(state_at) AS last_seen, max(id) AS sample"
_ONE = f"id, {_CAUSE}, http_status, campaign_id, resend_of, state_at"
_FILTERS = {
    "page_id": "m.page_id = :page_id",
    "campaign_id": "m.campaign_id = :campaign_id",
    "state": "m.state = :state",
    "reason": "m.reason = :reason",
    "before": "m.id < :before",
    "after": "m.id > :after",
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Filters:
    """Which dead letters; None does not filter."""

    cause: str | None = None
    page_id: int | None = None
    campaign_id: int | None = None
    state: str | None = None
    reason: str | None = None


def causes(session: Session, filters: Filters, *, limit: int) -> list[dict[str, Any]]:
    """Dead letters grouped by cause, the most frequent first: count, first and last seen, a sample's id."""
    inner, values = _narrow(filters)
    statement = text(f"SELECT {_GROUPED} FROM ({inner}) open GROUP BY {_CAUSE} ORDER BY 8 DESC, 11 DESC LIMIT :limit")  # noqa: S608 - constants only
    return [dict(row) for row in session.connection().execute(statement, {**values, "limit": limit}).mappings()]


def letters(session: Session, filters: Filters, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """Dead letters one by one, the newest first; ``before`` is an id."""
    inner, values = _narrow(filters, before)
    statement = text(f"SELECT {_ONE} FROM ({inner}) open ORDER BY id DESC LIMIT :limit")  # noqa: S608 - constants only
    return [dict(row) for row in session.connection().execute(statement, {**values, "limit": limit}).mappings()]


def choose(session: Session, filters: Filters, *, limit: int, after: int | None = None) -> list[int]:
    """The ids of dead letters that match, the oldest first, behind ``after``: what an act takes on."""
    inner, values = _narrow(filters, after=after)
    statement = text(f"SELECT id FROM ({inner}) open ORDER BY id LIMIT :limit")  # noqa: S608 - constants only
    return list(session.connection().execute(statement, {**values, "limit": limit}).scalars())


def count(session: Session, filters: Filters) -> int:
    """How many match."""
    inner, values = _narrow(filters)
    statement = text(f"SELECT count(*) FROM ({inner}) open")  # noqa: S608 - constants only
    return int(session.connection().execute(statement, values).scalar_one())


def is_reason(session: Session, reason: str) -> bool:
    """Whether any dead letter has, or had, this reason."""
    statement = text("""
        SELECT EXISTS (SELECT 1 FROM message WHERE state IN ('refused', 'unconfirmed', 'dead') AND reason = :reason)
    """)
    return bool(session.connection().execute(statement, {"reason": reason}).scalar_one())


def known(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, int | None]]:
    """Message id → (state, when somebody dealt with it as a dead letter); ids that are not there are left out."""
    rows = session.connection().execute(
        text("SELECT id, state, handled_at FROM message WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
    return {row.id: (row.state, row.handled_at) for row in rows}


def _narrow(filters: Filters, before: int | None = None, after: int | None = None) -> tuple[str, dict[str, Any]]:
    wanted = {**asdict(filters), "before": before, "after": after}
    given = {name: value for name, value in wanted.items() if value is not None}
    where = "".join(f" AND {condition}" for name, condition in _FILTERS.items() if name in given)
    inner = _OPEN + where
    if filters.cause is not None:
        inner = f"SELECT * FROM ({inner}) every WHERE cause = :cause"  # noqa: S608 - constants only
    return inner, given
