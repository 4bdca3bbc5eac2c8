"""The raw platform events: stored once each, in one statement a request, with what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.inbox.arrivals import Arrival

_STORE = text(
    """
    INSERT INTO platform_event (page_id, kind, psid, dedupe_key, occurred_ms, received_at, body)
    SELECT page_id, kind, psid, dedupe_key, occurred_ms, :now, CAST(body AS jsonb)
    FROM unnest(
        CAST(:page_ids AS int[]), CAST(:kinds AS text[]), CAST(:psids AS text[]), CAST(:keys AS text[]),
        CAST(:occurred AS bigint[]), CAST(:bodies AS text[])
    ) WITH ORDINALITY AS given (page_id, kind, psid, dedupe_key, occurred_ms, body, place)
    ORDER BY place
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id, dedupe_key
    """
)

_APPLIED = text("UPDATE platform_event SET applied_at = :now WHERE id = ANY(:ids)")

_FAILED = text(
    """
    UPDATE platform_event SET error = given.error
    FROM unnest(CAST(:ids AS bigint[]), CAST(:errors AS text[])) AS given (id, error)
    WHERE platform_event.id = given.id
    """
)


def store(
    session: Session, found: Sequence[Arrival], *, app_id: int, pages: Mapping[str, int], now: int
) -> list[tuple[int, Arrival]]:
    """Keep every arrival that was not kept before; returns the new ones with their ids, in the order given.

    A second copy that comes while the first is being applied waits for it: two requests never apply one event twice.
    """
    by_key: dict[str, Arrival] = {}
    for arrival in found:
        # Apps are told apart: one cannot take another's events away by sending them first.
        by_key.setdefault(f"{app_id}/{arrival.dedupe_key}", arrival)
    if not by_key:
        return []
    # In one order everywhere: two requests with the same events wait for each other, they do not deadlock.
    keys = sorted(by_key)
    ordered = [by_key[key] for key in keys]
    rows = session.connection().execute(
        _STORE,
        {
            "page_ids": [pages.get(arrival.page) if arrival.page else None for arrival in ordered],
            "kinds": [arrival.kind for arrival in ordered],
            "psids": [arrival.psid for arrival in ordered],
            "keys": keys,
            "occurred": [arrival.occurred_ms for arrival in ordered],
            "bodies": [json.dumps(arrival.body) for arrival in ordered],
            "now": now,
        },
    )
    new = {row.dedupe_key: row.id for row in rows}
    return [(new[key], arrival) for key, arrival in by_key.items() if key in new]


def settle(session: Session, applied: Sequence[int], failed: Mapping[int, str], now: int) -> None:
    """Note which raw events were applied, and why others (id → words) were not."""
    if applied:
        session.connection().execute(_APPLIED, {"ids": list(applied), "now": now})
    if failed:
        session.connection().execute(_FAILED, {"ids": list(failed), "errors": list(failed.values())})
