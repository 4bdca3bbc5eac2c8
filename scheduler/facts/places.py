"""Where somebody may be, and how that follows from what was said. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import text
from sqlmodel import Session

from policies.facts import Facts
from policies.local_time import fixed_offset
from policies.places import place_of

#: Zones that are named; of more, only how many there are.
NAMED = 50

_EVIDENCE = text("""
    SELECT kind, source, value, confidence, observed_at, recorded_at FROM place_evidence WHERE contact_id = :id
    ORDER BY array_position(ARRAY['zone', 'region', 'offset', 'country', 'locale'], kind), confidence DESC,
        observed_at DESC, array_position(CAST(:sources AS text[]), source)
""")


class Placed(Protocol):
    """A row of ``contact``."""

    @property
    def timezones(self) -> list[str] | None: ...  # noqa: D102 - a protocol's members are described by the class
    @property
    def timezones_source(self) -> str | None: ...  # noqa: D102
    @property
    def utc_offset(self) -> int | None: ...  # noqa: D102
    @property
    def country(self) -> str | None: ...  # noqa: D102
    @property
    def region(self) -> str | None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True)
class Candidates:
    """The zones somebody may be in: a message may go when it may go in all of them."""

    #: Empty where there are more than are worth naming.
    zones: list[str]
    count: int
    #: What they follow from: ``timezone`` | ``region`` | ``utc_offset`` | ``country`` | ``none``.
    follow_from: str
    words: str
    #: Whose laws bind.
    jurisdictions: list[str]
    #: What is odd about what was said of the place, and what became of it: a zone outside the country, one that names
    #: no place, one that tzdata does not know.
    remarks: list[str]


def place_evidence(session: Session, contact_id: int, *, sources: Sequence[str]) -> list[dict[str, Any]]:
    """What each source last said of where a contact is, the best of each kind first and marked ``counts``.

    ``sources`` in the order that breaks ties.
    """
    session.flush()
    rows = session.connection().execute(_EVIDENCE, {"id": contact_id, "sources": list(sources)}).mappings()
    seen: set[str] = set()
    found = []
    for row in rows:
        found.append({**row, "value": list(row["value"]), "counts": row["kind"] not in seen})
        seen.add(row["kind"])
    return found


def zone_candidates(contact: Placed) -> Candidates:
    """Where the contact may be, in zones, and how that follows."""
    place = place_of(
        Facts(
            timezones=tuple(contact.timezones or ()),
            utc_offset=contact.utc_offset,
            country=contact.country,
            region=contact.region,
        )
    )
    return Candidates(
        zones=list(place.zones) if len(place.zones) <= NAMED else [],
        count=len(place.zones),
        follow_from=place.evidence,
        words=_words(contact, place.evidence),
        jurisdictions=list(place.jurisdictions),
        remarks=list(place.remarks),
    )


def _words(contact: Placed, evidence: str) -> str:
    match evidence:
        case "timezone":
            several = len(contact.timezones or ()) > 1
            told = "one of the zones" if several else "the zone"
            return f"{told} that source `{contact.timezones_source or 'api'}` names"
        case "region":
            return f"the zones of {contact.region}"
        case "utc_offset":
            if contact.utc_offset is None:
                return "the offset that the stated zone comes to, and an hour less and more, for it names no place"
            clock = fixed_offset(contact.utc_offset)
            return f"the profile's offset {clock}, and an hour less and more, for it knows no summer time"
        case "country":
            return f"all zones of {contact.country}"
        case _:
            return "nothing tells: every zone there is"
