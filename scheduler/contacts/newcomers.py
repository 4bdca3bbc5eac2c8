"""People who are new: made with their places on their rows, and the evidence of those beside.

Nobody else sees them before the transaction ends, and nothing was said of them before: there is nothing to weigh, to
lock or to wake. What their rows say is what ``evidence.place`` would make of the same evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.evidence import SOURCES, Kind, Value, checked_value
from scheduler.store.copying import as_json, copy_rows, escaped

_MAKE = text("""
    WITH made AS (
        INSERT INTO contact (page_id, psid, name, first_name, attributes, timezones, timezones_source, utc_offset,
            utc_offset_read_at, country, region, locale, created_at)
        SELECT :page_id, psid, name, first_name, coalesce(attributes, '{}'), timezones, timezones_source, utc_offset,
            utc_offset_read_at, country, region, locale, :now
        FROM json_to_recordset(CAST(:rows AS json)) AS given (
            psid text, name text, first_name text, attributes jsonb, timezones text[], timezones_source text,
            utc_offset int, utc_offset_read_at bigint, country text, region text, locale text)
        ORDER BY psid
        ON CONFLICT (page_id, psid) DO NOTHING
        RETURNING psid, id
    )
    SELECT json_object_agg(psid, id) FROM made
""")
_EVIDENCE = ("contact_id", "kind", "source", "value", "confidence", "observed_at", "recorded_at")


@dataclass(slots=True, kw_only=True)
class Person:
    """What one source knows about somebody. None says nothing; attributes add to those there are."""

    psid: str
    name: str | None = None
    first_name: str | None = None
    attributes: dict[str, Any] | None = None
    #: Evidence of where they are: the value of each kind.
    places: Mapping[Kind, Value] = field(default_factory=dict)


def make_people(
    session: Session, page_id: int, people: Sequence[Person], *, source: str, observed_at: int, now: int
) -> dict[str, int]:
    """Make these people; psid → contact id of those whom nobody else made in between. Two statements.

    Raises Invalid for a place that is none, before anything is kept.
    """
    observed_at = min(observed_at, now)
    rows = [_row(each, source, observed_at) for each in people]
    # In one order everywhere: two transactions that make the same people wait, they do not deadlock.
    made: dict[str, int] = (
        session.connection().execute(_MAKE, {"page_id": page_id, "rows": as_json(rows), "now": now}).scalar() or {}
    )
    ends = _Ends(source, f"\t{SOURCES[source]}\t{observed_at}\t{now}\n")
    # No conflict to look for, so by COPY: a fraction of what it takes to insert them one by one.
    copy_rows(
        session,
        "place_evidence",
        _EVIDENCE,
        (
            f"{contact_id}{ends[kind, value if isinstance(value, (str, int)) else tuple(value)]}"
            for each in people
            if (contact_id := made.get(each.psid)) is not None
            for kind, value in each.places.items()
        ),
    )
    return made


class _Ends(dict[tuple[Kind, str | int | tuple[str, ...]], str]):
    """What a row of evidence is but whose: a thousand people of a file are in a dozen places."""

    def __init__(self, source: str, tail: str) -> None:
        super().__init__()
        self._source, self._tail = source, tail

    def __missing__(self, place: tuple[Kind, str | int | tuple[str, ...]]) -> str:
        kind, value = place
        made = self[place] = f"\t{kind}\t{self._source}\t{_array(checked_value(kind, value))}{self._tail}"
        return made


def _row(person: Person, source: str, observed_at: int) -> dict[str, object]:
    row: dict[str, object] = {
        "psid": person.psid, "name": person.name, "first_name": person.first_name, "attributes": person.attributes
    }  # fmt: skip
    for kind, value in person.places.items():
        best = checked_value(kind, value)
        if kind == "zone":
            row["timezones"], row["timezones_source"] = best, source
        elif kind == "offset":
            row["utc_offset"], row["utc_offset_read_at"] = int(best[0]), observed_at
        else:
            row[kind] = best[0]
    region, country = row.get("region"), row.get("country")
    if region is not None and country is not None and str(region)[:2] != country:
        # Of two that are as sure the region says more.
        row["country"] = str(region)[:2]
    return row


def _array(values: Sequence[str]) -> str:
    quoted = ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return escaped(f"{{{quoted}}}")
