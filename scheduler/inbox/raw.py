"""The raw platform events: stored once each, in one statement a transaction, with what became of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.inbox.event import Event

#: What is understood is noted as applied at once: it is, or this transaction leaves nothing behind.
_STORE = text(
    """
    INSERT INTO platform_event
        (page_id, kind, psid, dedupe_key, occurred_ms, received_at, body, applied_at, error)
    SELECT page_id, kind, psid, dedupe_key, occurred_ms, :now, CAST(body AS jsonb),
        CASE WHEN error IS NULL THEN CAST(:now AS bigint) END, error
    FROM unnest(
        CAST(:page_ids AS int[]), CAST(:kinds AS text[]), CAST(:psids AS text[]), CAST(:keys AS text[]),
        CAST(:occurred AS bigint[]), CAST(:bodies AS text[]), CAST(:errors AS text[])
    ) WITH ORDINALITY AS given (page_id, kind, psid, dedupe_key, occurred_ms, body, error, place)
    ORDER BY place
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id, dedupe_key
    """
)

_FAILED = text(
    """
    UPDATE platform_event SET error = given.error, applied_at = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:errors AS text[])) AS given (id, error)
    WHERE platform_event.id = given.id
    """
)

_KNOWN = text("SELECT dedupe_key FROM platform_event WHERE dedupe_key = ANY(:keys)")

#: Who was meant, when, and that it was taken back is kept; what it said is not.
_PURGE = text(
    """
    WITH taken_back AS (
        SELECT id FROM platform_event WHERE dedupe_key = ANY(:keys) ORDER BY dedupe_key FOR NO KEY UPDATE
    )
    UPDATE platform_event e SET body = jsonb_strip_nulls(jsonb_build_object(
        'sender', e.body -> 'sender', 'recipient', e.body -> 'recipient', 'timestamp', e.body -> 'timestamp',
        'message', jsonb_build_object(
            'mid', coalesce(e.body -> 'message', e.body -> 'message_edit') -> 'mid', 'is_deleted', true)))
    FROM taken_back t WHERE e.id = t.id
    """
)


def store(session: Session, events: Sequence[Event], now: int) -> list[Event]:
    """Keep every event that was not kept before; returns the new ones, with their ids, in the order given.

    A second copy that comes while the first is being applied waits for it: two requests never apply one event twice.
    """
    by_key: dict[str, Event] = {}
    for event in events:
        by_key.setdefault(event.key, event)
    if not by_key:
        return []
    # In one order everywhere: two requests with the same events wait for each other, they do not deadlock.
    keys = sorted(by_key)
    ordered = [by_key[key] for key in keys]
    rows = session.connection().execute(
        _STORE,
        {
            "page_ids": [event.page_id for event in ordered],
            "kinds": [event.arrival.kind for event in ordered],
            "psids": [event.arrival.psid for event in ordered],
            "keys": keys,
            "occurred": [event.arrival.occurred_ms for event in ordered],
            "bodies": [json.dumps(event.arrival.body) for event in ordered],
            "errors": [event.error for event in ordered],
            "now": now,
        },
    )
    for id_, key in rows:
        by_key[key].id = id_
    return [event for event in by_key.values() if event.id]


def fail(session: Session, errors: Mapping[int, str]) -> None:
    """Note why stored events (id → words) could not be applied after all."""
    if errors:
        session.connection().execute(_FAILED, {"ids": list(errors), "errors": list(errors.values())})


def known_keys(session: Session, keys: Collection[str]) -> set[str]:
    """Those of these keys under which an event is stored."""
    if not keys:
        return set()
    return set(session.connection().execute(_KNOWN, {"keys": sorted(keys)}).scalars())


def purge(session: Session, keys: Collection[str]) -> None:
    """Take what they said out of the stored copies of these messages and edits."""
    if keys:
        session.connection().execute(_PURGE, {"keys": sorted(keys)})
