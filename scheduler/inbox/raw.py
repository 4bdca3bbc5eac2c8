"""The raw platform events: stored once each, in one statement a transaction, with what became of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.inbox.event import Event
from scheduler.store.direct import Ask, run, together

#: In one order everywhere: two requests with the same events wait for each other, they do not deadlock.
#: What is understood is noted as applied at once: it is, or this transaction leaves nothing behind.
_STORE = text(
    """
    INSERT INTO platform_event
        (page_id, kind, psid, dedupe_key, occurred_ms, received_at, body, applied_at, error)
    SELECT page_id, kind, psid, dedupe_key, occurred_ms, :now, body,
        CASE WHEN error IS NULL THEN CAST(:now AS bigint) END, error
    FROM json_to_recordset(CAST(:rows AS json)) AS given (
        page_id int, kind text, psid text, dedupe_key text, occurred_ms bigint, body jsonb, error text)
    ORDER BY dedupe_key COLLATE "C"
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

_KNOWN = text(
    """
    SELECT dedupe_key FROM platform_event
    WHERE dedupe_key = ANY(:keys)
    """
)

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


def store(
    session: Session, events: Sequence[Event], now: int, *, first: Sequence[Ask] = (), then: Sequence[Ask] = ()
) -> tuple[list[Event], list[list[Any]]]:
    """Keep every event that was not kept before; returns the new ones, with their ids, in the order given.

    And the answers to ``then``, which is asked after it, on the same way to the database, as is what goes ``first``.

    A second copy that comes while the first is being applied waits for it: two requests never apply one event twice.
    """
    by_key: dict[str, Event] = {}
    for event in events:
        by_key.setdefault(event.key, event)
    given = [
        {
            "page_id": event.page_id, "kind": event.arrival.kind, "psid": event.arrival.psid, "dedupe_key": key,
            "occurred_ms": event.arrival.occurred_ms, "body": event.arrival.body, "error": event.error,
        }
        for key, event in by_key.items()
    ]  # fmt: skip
    # As one JSON: an array of texts would be escaped text by text.
    answers = together(session, *first, (_STORE, {"rows": json.dumps(given), "now": now}), *then)
    rows, answer = answers[len(first)], answers[len(first) + 1 :]
    for id_, key in rows:
        by_key[key].id = id_
    return [event for event in by_key.values() if event.id], answer


def fail(session: Session, errors: Mapping[int, str]) -> None:
    """Note why stored events (id → words) could not be applied after all."""
    if errors:
        run(session, _FAILED, {"ids": list(errors), "errors": list(errors.values())})


def keys_ask(keys: Collection[str]) -> Ask:
    """What asks for those of these keys under which an event is stored: rows of one column."""
    return _KNOWN, {"keys": sorted(keys)}


def purge(session: Session, keys: Collection[str]) -> None:
    """Take what they said out of the stored copies of these messages and edits."""
    if keys:
        run(session, _PURGE, {"keys": sorted(keys)})
