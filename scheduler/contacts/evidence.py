"""Where somebody is: what each source last said, and the best of it on the contact's own row, which decisions read.

Of one kind the surer evidence counts, of equally sure the newer, of equally new the source that stands first in
``SOURCES``. What the kinds are worth against each other (zone, region, offset, country) is the engine's business.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import UTC_OFFSETS
from scheduler.consent.widening import widen_where_they_are
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.persons import lock_persons
from scheduler.contacts.places import check_country, check_locale, check_region, check_zones
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts

Kind = Literal["zone", "offset", "country", "region", "locale"]
#: A zone (several are candidates), minutes east of UTC, a country, a region, or a locale.
Value = str | int | Sequence[str]

KINDS: tuple[Kind, ...] = ("zone", "offset", "country", "region", "locale")

#: Source → how sure it is unless it says otherwise. A spreadsheet is older than it looks, and a profile's offset has no
#: rules: neither takes the place of what the person, their device or the shop's own system said.
SOURCES = {"api": 1.0, "operator": 1.0, "optin": 1.0, "import": 0.9, "profile": 0.5}


#: What they say may come in any order: of two words of one instant the value decides, not the arrival. Whoever else
#: says something anew corrects what they said.
UNORDERED = ("optin",)


@dataclass(slots=True, kw_only=True)
class Evidence:
    """One source's word about where somebody is."""

    contact_id: int
    kind: Kind
    value: Value
    #: One of ``SOURCES``.
    source: str
    #: From 0 to 1; None: what the source is worth.
    confidence: float | None = None
    #: When it was so, epoch seconds UTC.
    observed_at: int


_KEEP = text("""
    INSERT INTO place_evidence (contact_id, kind, source, value, confidence, observed_at, recorded_at)
    SELECT given.contact_id, given.kind, given.source, given.value, given.confidence, given.observed_at, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS given (
        contact_id bigint, kind text, source text, value text[], confidence float8, observed_at bigint)
    JOIN contact ON contact.id = given.contact_id
    ON CONFLICT (contact_id, kind, source) DO UPDATE SET value = excluded.value, confidence = excluded.confidence,
        observed_at = excluded.observed_at, recorded_at = excluded.recorded_at
    WHERE (place_evidence.observed_at < excluded.observed_at OR place_evidence.observed_at = excluded.observed_at
            AND (excluded.source <> ALL(CAST(:unordered AS text[]))
                OR place_evidence.value COLLATE "C" < excluded.value COLLATE "C"))
        AND (place_evidence.value, place_evidence.confidence, place_evidence.observed_at)
            IS DISTINCT FROM (excluded.value, excluded.confidence, excluded.observed_at)
""")

_FORGET = text("DELETE FROM place_evidence WHERE contact_id = ANY(:ids) AND kind = ANY(:kinds)")
#: Before the projection is made anew: what no evidence tells stays as it is there.
_BLANK = text("""
    UPDATE contact SET
        timezones = CASE WHEN 'zone' = ANY(:kinds) THEN NULL ELSE contact.timezones END,
        timezones_source = CASE WHEN 'zone' = ANY(:kinds) THEN NULL ELSE contact.timezones_source END,
        utc_offset = CASE WHEN 'offset' = ANY(:kinds) THEN NULL ELSE contact.utc_offset END,
        utc_offset_read_at = CASE WHEN 'offset' = ANY(:kinds) THEN NULL ELSE contact.utc_offset_read_at END,
        country = CASE WHEN 'country' = ANY(:kinds) THEN NULL ELSE contact.country END,
        region = CASE WHEN 'region' = ANY(:kinds) THEN NULL ELSE contact.region END,
        locale = CASE WHEN 'locale' = ANY(:kinds) THEN NULL ELSE contact.locale END
    FROM (SELECT id, timezones, utc_offset, country, region FROM contact WHERE id = ANY(:ids)) AS was
    WHERE contact.id = was.id
    RETURNING contact.id, (was.timezones, was.utc_offset, was.country, was.region)
        IS DISTINCT FROM (contact.timezones, contact.utc_offset, contact.country, contact.region) AS moved
""")

# A region outside of the country: the better of the two holds; of equals the region, which says more.
_PROJECT = text("""
    WITH best AS MATERIALIZED (
        SELECT DISTINCT ON (contact_id, kind) contact_id, kind, value, source, confidence, observed_at
        FROM place_evidence WHERE contact_id = ANY(:ids)
        ORDER BY contact_id, kind, confidence DESC, observed_at DESC, array_position(CAST(:sources AS text[]), source)
    ), told AS (
        SELECT w.id, w.timezones AS was_timezones, w.utc_offset AS was_offset, w.country AS was_country,
            w.region AS was_region,
            coalesce(z.value, w.timezones) AS timezones,
            CASE WHEN z.value IS NULL THEN w.timezones_source ELSE z.source END AS timezones_source,
            coalesce(CAST(o.value[1] AS integer), w.utc_offset) AS utc_offset,
            CASE WHEN o.value IS NULL THEN w.utc_offset_read_at ELSE o.observed_at END AS utc_offset_read_at,
            coalesce(c.value[1], w.country) AS country, coalesce(r.value[1], w.region) AS region,
            coalesce(l.value[1], w.locale) AS locale,
            (coalesce(r.confidence, 0), coalesce(r.observed_at, 0))
                >= (coalesce(c.confidence, 0), coalesce(c.observed_at, 0)) AS region_first
        FROM contact w
        LEFT JOIN best z ON z.contact_id = w.id AND z.kind = 'zone'
        LEFT JOIN best o ON o.contact_id = w.id AND o.kind = 'offset'
        LEFT JOIN best c ON c.contact_id = w.id AND c.kind = 'country'
        LEFT JOIN best r ON r.contact_id = w.id AND r.kind = 'region'
        LEFT JOIN best l ON l.contact_id = w.id AND l.kind = 'locale'
        WHERE w.id = ANY(:ids)
    ), best_of_all AS (
        SELECT *,
            CASE WHEN left(region, 2) <> country AND region_first THEN left(region, 2) ELSE country END AS in_country,
            CASE WHEN left(region, 2) <> country AND NOT region_first THEN NULL ELSE region END AS in_region
        FROM told
    )
    UPDATE contact SET timezones = t.timezones, timezones_source = t.timezones_source, utc_offset = t.utc_offset,
        utc_offset_read_at = t.utc_offset_read_at, locale = t.locale, country = t.in_country, region = t.in_region
    FROM best_of_all t WHERE contact.id = t.id AND (
        contact.timezones, contact.timezones_source, contact.utc_offset, contact.utc_offset_read_at, contact.locale,
        contact.country, contact.region
    ) IS DISTINCT FROM (
        t.timezones, t.timezones_source, t.utc_offset, t.utc_offset_read_at, t.locale, t.in_country, t.in_region)
    RETURNING contact.id, (t.was_timezones, t.was_offset, t.was_country, t.was_region)
        IS DISTINCT FROM (contact.timezones, contact.utc_offset, contact.country, contact.region) AS moved
""")


def record_evidence(session: Session, rows: Sequence[Evidence], now: int) -> set[int]:
    """Keep what sources say about where people are; a source's newer word takes the place of its older one.

    The best of each kind goes onto the contact's row; whoever may be elsewhere now has their messages decided anew,
    and their ids are returned. What is said of a merged address is kept with who stands for the person. Unknown
    contacts are left out. A few statements whatever the number of rows. Raises Invalid for a value that is none, before
    anything is kept.
    """
    checked = [(row, _checked(row, now)) for row in rows]
    if not checked:
        return set()
    survivors = lock_persons(session, {row.contact_id for row in rows})
    kept: dict[tuple[int, str, str], dict[str, object]] = {}
    for row, known in checked:
        who = survivors.get(row.contact_id, row.contact_id)
        before = kept.get((who, row.kind, row.source))
        if before is None or _stands_after(known, before):
            kept[who, row.kind, row.source] = known | {"contact_id": who}
    ids = sorted({contact_id for contact_id, _, _ in kept})
    session.flush()
    values = {"rows": json.dumps([kept[key] for key in sorted(kept)]), "unordered": list(UNORDERED), "now": now}
    session.connection().execute(_KEEP, values)
    moved = place(session, ids, now)
    wake_contacts(session, sorted(moved), now)
    return moved


def forget_evidence(session: Session, contact_ids: Collection[int], kinds: Iterable[Kind], now: int) -> set[int]:
    """Forget all that was said of these kinds, whoever said it. Returns who may be elsewhere now, as above."""
    ids, which = sorted(set(contact_ids)), sorted(set(kinds))
    if not ids or not which:
        return set()
    lock_contacts(session, ids)
    session.flush()
    values = {"ids": ids, "kinds": which}
    session.connection().execute(_FORGET, values)
    moved = {row.id for row in session.connection().execute(_BLANK, values) if row.moved}
    widen_where_they_are(session, moved, now)
    wake_contacts(session, sorted(moved), now)
    return moved


def place(session: Session, contact_ids: Sequence[int], now: int) -> set[int]:
    """Put the best evidence of each kind onto the contacts' rows, which the caller holds; returns whose place changed.

    A kind of which there is no evidence stays as it is. What they had stopped covers what the law of there asks.
    """
    rows = session.connection().execute(_PROJECT, {"ids": list(contact_ids), "sources": list(SOURCES)})
    moved = {row.id for row in rows if row.moved}
    widen_where_they_are(session, moved, now)
    return moved


def state_zone(session: Session, contact_id: int, zones: Sequence[str], *, source: str, now: int) -> bool:
    """Keep the stated IANA zones of a contact (several are candidates; none forgets). True when they may be elsewhere.

    ``source`` is ``optin``, ``import``, ``operator`` or ``api``.
    """
    if not zones:
        return bool(forget_evidence(session, (contact_id,), ("zone",), now))
    said = Evidence(contact_id=contact_id, kind="zone", value=zones, source=source, observed_at=now)
    return bool(record_evidence(session, (said,), now))


def set_offset(session: Session, contact_id: int, minutes: int, now: int) -> bool:
    """Keep the numeric offset of the platform's profile, minutes east of UTC, read at ``now``. True when it is news."""
    read = Evidence(contact_id=contact_id, kind="offset", value=minutes, source="profile", observed_at=now)
    return bool(record_evidence(session, (read,), now))


def _stands_after(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether ``one`` takes the place of ``other``, which came before it, of the same kind and source."""
    this, that = int(str(one["observed_at"])), int(str(other["observed_at"]))
    if this != that or one["source"] not in UNORDERED:
        return this >= that
    # As in ``_KEEP``: lists of texts, by their code points.
    return str(one["value"]) > str(other["value"])


def _checked(row: Evidence, now: int) -> dict[str, object]:
    if row.source not in SOURCES:
        raise Invalid(
            f"`{row.source[:64]}` is not a source of evidence", field="source", way_out=f"use {', '.join(SOURCES)}"
        )
    confidence = SOURCES[row.source] if row.confidence is None else row.confidence
    if not 0 <= confidence <= 1:
        raise Invalid(f"{confidence} is not a confidence", field="confidence", way_out="give a number from 0 to 1")
    return {
        "contact_id": row.contact_id,
        "kind": row.kind,
        "source": row.source,
        "value": checked_value(row.kind, row.value),
        "confidence": confidence,
        # What a clock ahead of ours says must not outrank what is said later by ours.
        "observed_at": min(row.observed_at, now),
    }


def checked_value(kind: Kind, value: Value) -> list[str]:
    """What is kept of ``value``, in its own spelling. Raises Invalid."""
    return _values(kind, value if isinstance(value, (str, int)) else tuple(value))


# A thousand people of a file are in a dozen places.
@lru_cache(maxsize=4096, typed=True)
def _values(kind: Kind, value: str | int | tuple[str, ...]) -> list[str]:
    if kind == "offset":
        if not isinstance(value, int) or not UTC_OFFSETS[0] <= value <= UTC_OFFSETS[1]:
            raise Invalid(
                "is not an offset from UTC",
                field="offset",
                way_out=f"give minutes, from {UTC_OFFSETS[0]} to {UTC_OFFSETS[1]}",
            )
        return [str(value)]
    if kind == "zone" and not isinstance(value, int):
        zones = check_zones([value] if isinstance(value, str) else value, field="zone")
        if zones:
            return zones
    elif isinstance(value, str):
        match kind:
            case "country":
                return [check_country(value)]
            case "region":
                return [check_region(value)]
            case "locale":
                return [check_locale(value)]
    raise Invalid(
        f"there is no evidence of the kind `{kind[:64]}` with such a value",
        field="kind",
        way_out=f"use {', '.join(KINDS)}, and a value of that kind",
    )
