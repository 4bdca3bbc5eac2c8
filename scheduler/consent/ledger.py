"""The ledger: what was said about being messaged, by whom, when, and what proves it. Rows are only ever added.

A trigger refuses every change. What decisions read (``suppression``, ``consent``) is made from it: ``projection.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid
from scheduler.store.direct import Ask, fetch
from scheduler.store.outside import note, person_hash

#: How something became known: the person's words, their tap on a button, the platform's own control (STOP, RESUME, an
#: opt-in), a file, another system of the shop's, a person of the team, a send that was refused.
SOURCES = ("message", "postback", "optin", "import", "api", "operator", "send_error")
SCOPES = ("everything", "category", "topic")
#: Those whose instants are the platform's own: one clock stamped them all.
PLATFORM = ("message", "postback", "optin")
#: Other systems' clocks are off by minutes. What they date within so many seconds of its arrival counts by its arrival.
_CLOCKS_APART = 3600

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
    #: Its order is that of its arrival, for nobody who can be trusted said when it was said: see ``counts_by_arrival``.
    #: None: to be found out from its instant.
    by_arrival: bool | None = None


#: What must be in force although the database went back in time: see ``scheduler/lineage``.
_OUTSIDE = ("opt_out", "opt_in", "withdrawn")
_WHO = text("SELECT id, page_id, psid FROM contact WHERE id = ANY(:ids)")

_COLUMNS = tuple(Entry.__slots__)
#: Numbered in the order of the rows: what is put in an order is numbered after that.
_APPEND = text(f"""
    INSERT INTO consent_record (recorded_at, {", ".join(_COLUMNS)})
    SELECT :now, {", ".join(_COLUMNS)} FROM json_to_recordset(CAST(:rows AS json)) AS r (
        place int, contact_id bigint, action text, source text, occurred_at bigint, topic text, category text,
        scope text, kind text, wording_id bigint, event_id bigint, evidence text, actor text, expires_at bigint,
        by_arrival boolean)
    ORDER BY place RETURNING id
""")  # noqa: S608 - our own column names


def append(session: Session, entries: Sequence[Entry], now: int) -> list[int]:
    """Add the rows in the order given and return their ids, which rise in that order.

    What a clock ahead of ours says must not outrank what is said later by ours: it counts as said ``now``. The caller
    holds the contacts' rows. Raises Invalid for a source that is none or a text that is too long.
    """
    return appended(fetch(session, *append_ask(session, entries, now))) if entries else []


def append_ask(session: Session, entries: Sequence[Entry], now: int) -> Ask:
    """What ``append`` runs, for whoever runs it together with something else."""
    session.flush()
    for entry in entries:
        _check(entry)
    rows = [
        {name: value for name in _COLUMNS if (value := getattr(entry, name)) is not None}
        | {
            "place": place,
            "occurred_at": min(entry.occurred_at, now),
            "by_arrival": counts_by_arrival(entry.source, entry.occurred_at, now)
            if entry.by_arrival is None
            else entry.by_arrival,
        }
        for place, entry in enumerate(entries)
    ]
    spoken = [entry for entry in entries if entry.action in _OUTSIDE]
    if spoken:
        note(session, "chosen", partial(_marks, spoken, now))
    return _APPEND, {"rows": json.dumps(rows), "now": now}


def counts_by_arrival(source: str, at: int, now: int) -> bool:
    """Whether a word dated ``at`` that arrives ``now`` is put in order by its arrival: its instant proves too little.

    The platform's own instants are trusted unless they lie ahead. Anybody else's are trusted where they are an hour old
    or older: by then it makes no difference whose clock it was.
    """
    return at > now or (source not in PLATFORM and at > now - _CLOCKS_APART)


def _marks(entries: Sequence[Entry], now: int, session: Session) -> list[list[Any]]:
    """What is kept of choices outside the database, of each person a keyed hash."""
    found = session.connection().execute(_WHO, {"ids": sorted({entry.contact_id for entry in entries})})
    people = {row.id: (row.page_id, person_hash(row.page_id, row.psid).hex()) for row in found}
    return [
        [
            *people[entry.contact_id],
            entry.action,
            entry.source,
            entry.topic,
            entry.category,
            min(entry.occurred_at, now),
        ]
        for entry in entries
        if entry.contact_id in people
    ]


def appended(rows: Sequence[Any]) -> list[int]:
    """What ``append`` makes of the answer."""
    return sorted(row.id for row in rows)


def _check(entry: Entry) -> None:
    if entry.source not in SOURCES:
        raise Invalid(
            f"`{entry.source[:64]}` is not a source", field="source", way_out=f"use one of {', '.join(SOURCES)}"
        )
    for name, longest in _LONGEST.items():
        value = getattr(entry, name)
        if value is not None and (not 0 < len(value) <= longest or "\x00" in value):
            raise Invalid(f"cannot be kept as {name}", field=name, way_out=f"give 1 to {longest} characters of text")
