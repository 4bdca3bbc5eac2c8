"""People as lists. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session

Waiting = Literal["held", "handover"]

_COLUMNS = """
    id, psid, name, first_name, locale, country, region, timezones, utc_offset, last_inbound_at, handover_at,
    handover_by, held_at
"""
_WHERE: dict[Waiting | None, str] = {
    None: "true",
    "held": "held_at IS NOT NULL",
    "handover": "handover_at IS NOT NULL",
}


def list_contacts(
    session: Session,
    page_id: int,
    *,
    waiting: Waiting | None = None,
    among: Sequence[int] | None = None,
    before: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """People of a page, the newest first: all, or those who are held, or in somebody else's hands.

    ``among``: only these contacts, by id. ``before`` is a contact's id: those that are older than it. Whoever was
    merged into somebody is left out.
    """
    chosen = " AND id = ANY(:among)" if among is not None else ""
    older = " AND id < :before" if before is not None else ""
    statement = text(
        f"SELECT {_COLUMNS} FROM contact WHERE page_id = :page_id AND merged_into IS NULL "  # noqa: S608 - constants only
        f"AND erased_at IS NULL AND {_WHERE[waiting]}{chosen}{older} "
        "ORDER BY id DESC LIMIT :limit"
    )
    values: dict[str, Any] = {"page_id": page_id, "limit": limit}
    values |= ({"before": before} if before is not None else {}) | ({"among": list(among)} if among is not None else {})
    return [dict(row) for row in session.connection().execute(statement, values).mappings()]
