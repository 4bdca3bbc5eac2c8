"""The ledger: what was said about being messaged, by whom, when, and what proves it. Rows are only ever added.

A trigger refuses every change. What decisions read (``suppression``, ``consent``) is made from it: ``projection.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid
from scheduler.store.direct import fetch, run

#: How something became known: the person's words, their tap on a button, the platform's own control (STOP, RESUME, an
#: opt-in), a file, another system of the shop's, a person of the team, a send that was refused.
SOURCES = ("message", "postback", "optin", "import", "api", "operator", "send_error")
SCOPES = ("everything", "category", "topic")

_LONGEST = {"topic": 200, "evidence": 500, "actor": 200}


@dataclass(slots=True, kw_only=True)
class Entry:
    """A row of the ledger before it has an id. Instants are epoch seconds UTC."""

    contact_id: int
    #: ``granted`` | ``withdrawn`` | ``opt_out`` | ``opt_in`` | ``block`` | ``unblock``.
    action: str
    source: str
    occurred_at: int
    topic: str | None = None
    category: str | None = None
    scope: str | None = None
    kind: str | None = None
    wording_id: int | None = None
    event_id: int | None = None
    evidence: str | None = None
    actor: str | None = None
    expires_at: int | None = None


_COLUMNS = tuple(Entry.__slots__)
_NEXT = text("""
    SELECT json_agg(nextval(CAST(pg_get_serial_sequence('consent_record', 'id') AS regclass))) AS ids
    FROM generate_series(1, CAST(:count AS integer))
""")
_APPEND = text(f"""
    INSERT INTO consent_record (id, recorded_at, {", ".join(_COLUMNS)})
    SELECT id, :now, {", ".join(_COLUMNS)} FROM json_to_recordset(CAST(:rows AS json)) AS r (
        id bigint, contact_id bigint, action text, source text, occurred_at bigint, topic text, category text,
        scope text, kind text, wording_id bigint, event_id bigint, evidence text, actor text, expires_at bigint)
""")  # noqa: S608 - our own column names


def append(session: Session, entries: Sequence[Entry], now: int) -> list[int]:
    """Add the rows in the order given and return their ids, which rise in that order.

    What a clock ahead of ours says must not outrank what is said later by ours: it counts as said ``now``. The caller
    holds the contacts' rows. Raises Invalid for a source that is none or a text that is too long.
    """
    if not entries:
        return []
    session.flush()
    for entry in entries:
        _check(entry)
    ids = sorted(fetch(session, _NEXT, {"count": len(entries)})[0].ids)
    rows = [
        {name: value for name in _COLUMNS if (value := getattr(entry, name)) is not None}
        | {"id": id_, "occurred_at": min(entry.occurred_at, now)}
        for id_, entry in zip(ids, entries, strict=True)
    ]
    run(session, _APPEND, {"rows": json.dumps(rows), "now": now})
    return ids


def _check(entry: Entry) -> None:
    if entry.source not in SOURCES:
        raise Invalid(f"`{entry.source[:64]}` is no source", field="source", way_out=f"use one of {', '.join(SOURCES)}")
    for name, longest in _LONGEST.items():
        value = getattr(entry, name)
        if value is not None and (not 0 < len(value) <= longest or "\x00" in value):
            raise Invalid(f"cannot be kept as {name}", field=name, way_out=f"give 1 to {longest} characters of text")
