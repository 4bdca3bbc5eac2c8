"""When somebody is awake: a histogram of the local hours in which they were heard of, in which old instants fade.

An instant's weight is 2 ** ((instant - LANDMARK) / HALF_LIFE): it grows with the instant instead of shrinking with
time, so that nothing is ever rewritten for its age, and events count the same in whatever order they come. Sums are
exact decimals. Read at some instant, they are divided by that instant's own weight.

The hour is the person's own by the zones that the evidence allows at the moment of counting: with several candidates
each hour gets its share. Who may be anywhere, or in zones more than ``_SPREAD`` hours apart, is counted in UTC; such
hours become local when they are read and a zone is known by then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Facts
from policies.local_time import offset_at
from policies.places import place_of
from scheduler.store.direct import Ask, fetch, run

#: After this many seconds an instant counts half.
HALF_LIFE = 60 * 86_400
#: 2020-01-01T00:00:00Z. Doubles last for a thousand half-lives from here.
LANDMARK = 1_577_836_800

#: Candidates that are more hours apart than this tell nothing of anybody's hour.
_SPREAD = 6
_HOUR = 3600

#: An address that was merged is its person's, who has their own place.
_PLACES = text("""
    SELECT c.id, coalesce(p.id, c.id) AS person_id,
        CASE WHEN p.id IS NULL THEN c.timezones ELSE p.timezones END AS timezones,
        CASE WHEN p.id IS NULL THEN c.utc_offset ELSE p.utc_offset END AS utc_offset,
        CASE WHEN p.id IS NULL THEN c.country ELSE p.country END AS country,
        CASE WHEN p.id IS NULL THEN c.region ELSE p.region END AS region
    FROM contact c LEFT JOIN contact p ON p.id = c.merged_into WHERE c.id = ANY(:ids)
""")
_COUNT = text("""
    INSERT INTO contact_activity (contact_id, local, hour, weight)
    SELECT contact_id, local, hour, weight
    FROM unnest(CAST(:ids AS bigint[]), CAST(:locals AS boolean[]), CAST(:hours AS smallint[]),
        CAST(:weights AS numeric[])) AS given (contact_id, local, hour, weight)
    ORDER BY contact_id, local, hour
    ON CONFLICT (contact_id, local, hour) DO UPDATE SET weight = contact_activity.weight + excluded.weight
""")
_READ = text("SELECT contact_id, local, hour, weight FROM contact_activity WHERE contact_id = ANY(:ids)")


@dataclass(slots=True, kw_only=True)
class Histogram:
    """How much somebody was heard of in each hour of their local day, from 00 to 23."""

    #: In thousandths of an instant that was just now.
    hours: tuple[int, ...]
    #: Whether those are the person's own hours; else UTC.
    local: bool
    #: The candidate zones by which they are, the only one mostly.
    zones: tuple[str, ...]


def count_activity(session: Session, seen: Mapping[int, Sequence[int]], now: int) -> None:
    """Count the instants (contact id → epoch seconds UTC) at which people were heard of. Two statements for all.

    Instants ahead of ``now`` count as now. Those of a merged address count for who stands for the person. Unknown
    contacts are left out.
    """
    if any(seen.values()) and (counting := activity_counted(fetch(session, *places_ask(seen)), seen, now)):
        run(session, *counting)


def places_ask(contact_ids: Collection[int]) -> Ask:
    """What asks where these contacts are, for ``activity_counted``."""
    return _PLACES, {"ids": sorted(set(contact_ids))}


def activity_counted(places: Iterable[Any], seen: Mapping[int, Sequence[int]], now: int) -> Ask | None:
    """What ``count_activity`` runs at the end, by the answer to ``places_ask`` of those ``seen``; None: nothing."""
    weights: dict[tuple[int, bool, int], Decimal] = defaultdict(Decimal)
    for heard_id, contact_id, zones in _zones(places):
        for instant in seen[heard_id]:
            at = min(instant, now)
            local, hours = _hours(zones, at)
            for hour, part in hours.items():
                weights[contact_id, local, hour] += _weight(at, part, hours.total())
    if not weights:
        return None
    keys = sorted(weights)
    return _COUNT, {
        "ids": [key[0] for key in keys],
        "locals": [key[1] for key in keys],
        "hours": [key[2] for key in keys],
        "weights": [weights[key] for key in keys],
    }


def histogram(session: Session, contact_ids: Collection[int], now: int) -> dict[int, Histogram]:
    """When these contacts are awake, as ``policies.slots.Wish.hours`` wants it; those never heard of are left out.

    A merged address has what its person has. Two statements for all. Instants half a half-life old count for less than
    new ones: see ``HALF_LIFE``.
    """
    if not contact_ids:
        return {}
    session.flush()
    people = _zones_of(session, contact_ids)
    found: dict[int, list[tuple[bool, int, Decimal]]] = defaultdict(list)
    for row in fetch(session, _READ, {"ids": sorted({person_id for _, person_id, _ in people})}):
        found[row.contact_id].append((row.local, row.hour, row.weight))
    present = Decimal(2.0 ** ((now - LANDMARK) / HALF_LIFE))
    return {
        contact_id: _shown(found[person_id], zones, present, now)
        for contact_id, person_id, zones in people
        if person_id in found
    }


def _shown(
    buckets: Sequence[tuple[bool, int, Decimal]], zones: tuple[str, ...], present: Decimal, now: int
) -> Histogram:
    local, _ = _hours(zones, now)
    hours = [Decimal(0)] * 24
    for own, hour, weight in buckets:
        if own or not local:
            # Without a zone, what was counted as local once is the best that is known still.
            hours[hour] += weight
            continue
        _, shifted = _hours(zones, now - now % 86_400 + hour * _HOUR)
        for to, part in shifted.items():
            hours[to] += weight * part / shifted.total()
    return Histogram(
        hours=tuple(round(1000 * weight / present) for weight in hours),
        local=local or any(own for own, _, _ in buckets),
        zones=zones if local else (),
    )


def _zones_of(session: Session, contact_ids: Collection[int]) -> list[tuple[int, int, tuple[str, ...]]]:
    """(contact id, id of who stands for the person, candidate zones; none: anywhere)."""
    return _zones(fetch(session, *places_ask(contact_ids)))


def _zones(rows: Iterable[Any]) -> list[tuple[int, int, tuple[str, ...]]]:
    return [(row.id, row.person_id, _candidates(_key(row))) for row in rows]


def _key(row: Any) -> tuple[tuple[str, ...], int | None, str | None, str | None]:
    return tuple(row.timezones or ()), row.utc_offset, row.country, row.region


@lru_cache(maxsize=4096)
def _candidates(key: tuple[tuple[str, ...], int | None, str | None, str | None]) -> tuple[str, ...]:
    timezones, utc_offset, country, region = key
    place = place_of(Facts(timezones=timezones, utc_offset=utc_offset, country=country, region=region))
    return () if place.evidence == "none" else place.zones


def _hours(zones: tuple[str, ...], at: int) -> tuple[bool, Counter[int]]:
    """(whether they are local, hour → how many candidates have it then). Never empty."""
    offsets = [offset_at(zone, at) for zone in zones]
    if not offsets or max(offsets) - min(offsets) > _SPREAD * _HOUR:
        return False, Counter((at // _HOUR % 24,))
    return True, Counter((at + offset) // _HOUR % 24 for offset in offsets)


@lru_cache(maxsize=65_536)
def _weight(at: int, part: int, whole: int) -> Decimal:
    return Decimal(f"{2.0 ** ((at - LANDMARK) / HALF_LIFE) * part / whole:.6f}")
