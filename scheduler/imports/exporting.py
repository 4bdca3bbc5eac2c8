"""Everybody a page knows, as a file that imports again: places, names, attributes, consents, opt-outs.

By keyset, a page of people a transaction, so that a slow reader holds nothing. Telephone numbers and addresses are kept
as hashes alone, so no export has them; who was merged or erased is in none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.imports.cells import csv_text

Format = Literal["csv", "jsonl"]
#: People of one transaction.
CHUNK = 2_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Those before the attributes, and those after. What an import does not read is for people to look at.
_FIRST = ("psid", "name", "first_name", "locale", "country", "region", "timezone", "utc_offset", "crm_id")
_LAST = ("consents", "opt_outs", "suppressed", "evidence", "last_inbound_at", "created_at")

#: What is taken off both ends of a cell when it is read.
_SPACES = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
_ATTRIBUTES = text(r"""
    SELECT each.key AS name, array_agg(DISTINCT jsonb_typeof(each.value)) AS types, bool_and(
        CASE jsonb_typeof(each.value)
        WHEN 'number' THEN each.value #>> '{}' ~ '^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$'
        WHEN 'string' THEN each.value #>> '{}' <> ''
            AND btrim(each.value #>> '{}', :spaces) = each.value #>> '{}'
        ELSE true END) AS plain
    FROM contact, jsonb_each(contact.attributes) AS each
    WHERE contact.page_id = :page_id AND contact.merged_into IS NULL GROUP BY each.key ORDER BY each.key
""")
_PEOPLE = text("""
    SELECT c.id, c.psid, c.name, c.first_name, c.locale, c.country, c.region, c.timezones, c.utc_offset, c.attributes,
        c.last_inbound_at, c.created_at,
        (SELECT max(i.key) FROM contact_identity i WHERE i.contact_id = c.id AND i.kind = 'crm_id') AS crm_id,
        (SELECT json_agg(json_build_object('kind', e.kind, 'value', e.value, 'source', e.source,
                'confidence', e.confidence, 'observed_at', e.observed_at) ORDER BY e.kind, e.source)
            FROM place_evidence e WHERE e.contact_id = c.id) AS evidence,
        (SELECT json_agg(json_build_object('topic', g.topic, 'kind', g.kind, 'source', r.source, 'evidence', r.evidence,
                'wording', w.text, 'granted_at', g.granted_at, 'expires_at', g.expires_at)
                ORDER BY g.granted_at, g.topic NULLS FIRST, g.kind, g.expires_at)
            FROM consent g
            JOIN LATERAL (
                SELECT r.source, r.evidence, r.wording_id FROM consent_record r
                WHERE r.contact_id = g.contact_id AND r.action = 'granted' AND r.occurred_at = g.granted_at
                AND coalesce(r.kind, 'express') = g.kind AND r.topic IS NOT DISTINCT FROM g.topic
                AND r.expires_at IS NOT DISTINCT FROM g.expires_at ORDER BY r.id DESC LIMIT 1
            ) r ON true
            LEFT JOIN consent_wording w ON w.id = r.wording_id
            WHERE g.contact_id = c.id) AS consents,
        (SELECT json_agg(json_build_object('reason', s.reason, 'topic', s.topic, 'category', s.category,
                'since', s.since) ORDER BY s.reason, s.since, s.topic NULLS FIRST)
            FROM suppression s WHERE s.contact_id = c.id AND s.lifted_at IS NULL) AS suppressions
    FROM contact c
    WHERE c.page_id = :page_id AND c.id > :after AND c.merged_into IS NULL AND NOT EXISTS (
        SELECT 1 FROM suppression s WHERE s.contact_id = c.id AND s.reason = 'erased' AND s.lifted_at IS NULL)
    ORDER BY c.id LIMIT :limit
""")


@dataclass(slots=True, kw_only=True)
class Columns:
    """The columns of an export: those of the attributes say how they are to be read."""

    #: name → text, number, bool or json.
    attributes: dict[str, str]

    @property
    def header(self) -> list[str]:
        """The first line."""
        return [*_FIRST, *(f"attributes.{name}:{kind}" for name, kind in self.attributes.items()), *_LAST]


@dataclass(slots=True, kw_only=True)
class Part:
    """Some people as text. ``last`` is the id to go on after; None at the end."""

    text: str
    people: int
    last: int | None


def start_export(session: Session, page_id: int, *, form: Format, actor: str, now: int) -> Columns:
    """Note in the audit that somebody takes the page's people out, and find the columns that they need."""
    record(session, actor=actor, action="contacts.export", subject=f"page:{page_id}", detail={"format": form}, now=now)
    rows = session.connection().execute(_ATTRIBUTES, {"page_id": page_id, "spaces": _SPACES})
    return Columns(attributes={row.name: _kind(row.types) if row.plain else "json" for row in rows})


def export_part(
    session: Session, page_id: int, columns: Columns, *, form: Format, after: int = 0, limit: int = CHUNK
) -> Part:
    """The next people by id. The first part of a CSV has its header."""
    rows = session.connection().execute(_PEOPLE, {"page_id": page_id, "after": after, "limit": limit}).all()
    if form == "jsonl":
        written = "".join(json.dumps(_object(row), ensure_ascii=False) + "\n" for row in rows)
    else:
        header = [columns.header] if after == 0 else []
        written = csv_text([*header, *(_cells(row, columns) for row in rows)])
    return Part(text=written, people=len(rows), last=rows[-1].id if len(rows) == limit else None)


def _kind(types: Sequence[str]) -> str:
    only = types[0] if len(types) == 1 else None
    # Of several types, or null among them, only JSON tells them apart.
    return {"string": "text", "number": "number", "boolean": "bool"}.get(only or "", "json")


def _cells(row: Any, columns: Columns) -> list[str]:
    return [
        row.psid,
        row.name or "",
        row.first_name or "",
        row.locale or "",
        row.country or "",
        row.region or "",
        "|".join(row.timezones or ()),
        _offset(row.utc_offset) if _told_by_somebody(row) else "",
        row.crm_id or "",
        *(_attribute(row.attributes, name, kind) for name, kind in columns.attributes.items()),
        _list(_consents(row)),
        _list(_opt_outs(row)),
        "|".join(sorted({each["reason"] for each in row.suppressions or ()})),
        _list(_evidence(row)),
        _instant(row.last_inbound_at) or "",
        _instant(row.created_at) or "",
    ]


def _object(row: Any) -> dict[str, Any]:
    return {
        "psid": row.psid,
        "name": row.name,
        "first_name": row.first_name,
        "locale": row.locale,
        "country": row.country,
        "region": row.region,
        "timezones": row.timezones or [],
        "utc_offset": row.utc_offset,
        "crm_id": row.crm_id,
        "attributes": row.attributes,
        "consents": _consents(row),
        "opt_outs": _opt_outs(row),
        "suppressed": sorted({each["reason"] for each in row.suppressions or ()}),
        "evidence": _evidence(row),
        "last_inbound_at": _instant(row.last_inbound_at),
        "created_at": _instant(row.created_at),
    }


def _attribute(attributes: dict[str, Any], name: str, kind: str) -> str:
    if name not in attributes:
        return ""
    value = attributes[name]
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    if kind == "bool":
        return "true" if value else "false"
    if isinstance(value, float):
        # Without the exponent that Python writes below 0.0001, and that no import reads.
        return format(Decimal(repr(value)), "f")
    return str(value)


def _consents(row: Any) -> list[dict[str, Any]]:
    return [
        {
            "topic": each["topic"],
            "kind": each["kind"],
            # What an import called the source is kept as what proves it.
            "source": each["evidence"] if each["source"] == "import" and each["evidence"] else each["source"],
            "wording": each["wording"],
            "granted_at": _instant(each["granted_at"]),
            "expires_at": _instant(each["expires_at"]),
        }
        for each in row.consents or ()
    ]


def _told_by_somebody(row: Any) -> bool:
    # What the platform's profile said some day, and nobody else, is no word of a file's, which would outlast the
    # profile's next one. It stands in the evidence.
    return any(each["kind"] == "offset" and each["source"] != "profile" for each in row.evidence or ())


def _opt_outs(row: Any) -> list[dict[str, Any]]:
    return [
        {"topic": each["topic"], "category": each["category"], "at": _instant(each["since"])}
        for each in row.suppressions or ()
        if each["reason"] == "opted_out"
    ]


def _evidence(row: Any) -> list[dict[str, Any]]:
    return [each | {"observed_at": _instant(each["observed_at"])} for each in row.evidence or ()]


def _list(values: list[dict[str, Any]]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def _offset(minutes: int | None) -> str:
    if minutes is None:
        return ""
    hours, past = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{past:02d}"


def _instant(epoch: int | None) -> str | None:
    return None if epoch is None else (_EPOCH + timedelta(seconds=epoch)).strftime("%Y-%m-%dT%H:%M:%SZ")
