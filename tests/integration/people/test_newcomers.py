"""People who come by the thousand: their rows are what the projection of the same evidence would be."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.bulk import keep_people
from scheduler.contacts.evidence import Evidence, place, record_evidence
from scheduler.contacts.newcomers import Person
from scheduler.errors import Invalid

NOON = 1_777_982_400
_PLACES = (
    "SELECT timezones, timezones_source, utc_offset, utc_offset_read_at, country, region, locale FROM contact "
    "WHERE psid = :psid"
)
_EVIDENCE = """
    SELECT kind, source, value, confidence, observed_at, recorded_at FROM place_evidence e
    JOIN contact c ON c.id = e.contact_id WHERE psid = :psid ORDER BY kind
"""


@pytest.mark.parametrize("observed_at", [NOON - 60, NOON, NOON + 60])
@pytest.mark.parametrize(
    "places",
    [
        {},
        {"zone": ["America/Sao_Paulo"], "country": "BR", "locale": "pt_BR"},
        {"zone": ["Europe/Berlin", "Europe/Paris"], "offset": -90},
        {"region": "US-FL"},
        {"region": "US-FL", "country": "US"},
        {"region": "US-FL", "country": "DE", "offset": 0},
    ],
)
def test_a_newcomer_is_as_if_the_evidence_had_come_afterwards(
    session: Session, page: Any, people: Any, places: Any, observed_at: int
) -> None:
    (other,) = people(1)
    person = Person(psid="new", places=places)
    kept = keep_people(session, page.id, [person], source="import", observed_at=observed_at, now=NOON)
    assert kept.created == set(kept.ids.values())
    record_evidence(
        session,
        [
            Evidence(contact_id=other, kind=kind, value=value, source="import", observed_at=observed_at)
            for kind, value in places.items()
        ],
        NOON,
    )

    def of(psid: str, query: str) -> list[Any]:
        return [tuple(row) for row in session.connection().execute(text(query), {"psid": psid})]

    psid = session.connection().scalar(text("SELECT psid FROM contact WHERE id = :id"), {"id": other})
    before = of("new", _PLACES)
    assert before == of(psid, _PLACES)
    assert of("new", _EVIDENCE) == of(psid, _EVIDENCE)
    assert place(session, sorted(kept.created), NOON) == set()
    assert of("new", _PLACES) == before


def test_a_place_that_is_none_makes_nobody(session: Session, page: Any, one: Any) -> None:
    nobody = [Person(psid="a"), Person(psid="b", places={"zone": "Nowhere/Land"})]
    with pytest.raises(Invalid):
        keep_people(session, page.id, nobody, source="import", observed_at=NOON, now=NOON)
    assert one("SELECT count(*) FROM contact")[0] == 0
