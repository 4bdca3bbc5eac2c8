"""What a shop's own records say about many people at once: the PUT of a contact, a thousand at a time."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.lock import lock_contacts

#: By the index, one by one, whatever the planner believed of a table that was empty when it planned: else a thousand are
#: looked for among all people of the page, which was two thirds of an import. One cell: rows cost the driver.
_FIND = text("""
    SELECT json_object_agg(given.psid, found.id)
    FROM json_array_elements_text(CAST(:psids AS json)) AS given (psid)
    CROSS JOIN LATERAL (
        SELECT coalesce(merged_into, id) AS id FROM contact WHERE page_id = :page_id AND psid = given.psid LIMIT 1
    ) AS found
""")
# As one JSON text: to write a list for the driver element by element costs more than the statement.
_GIVEN = """
    json_to_recordset(CAST(:rows AS json)) AS given (
        contact_id bigint, psid text, name text, first_name text, attributes jsonb)
"""
_INSERT = text(f"""
    INSERT INTO contact (page_id, psid, name, first_name, attributes, created_at)
    SELECT :page_id, given.psid, given.name, given.first_name, coalesce(given.attributes, '{{}}'), :now
    FROM {_GIVEN} ORDER BY given.psid
    ON CONFLICT (page_id, psid) DO NOTHING
    RETURNING psid, id
""")  # noqa: S608 - the statement is put together from our own words
#: Only what changes is written: most people of a second import are as they were.
_UPDATE = text(f"""
    UPDATE contact SET name = coalesce(given.name, contact.name),
        first_name = coalesce(given.first_name, contact.first_name),
        attributes = contact.attributes || coalesce(given.attributes, '{{}}')
    FROM {_GIVEN}
    WHERE contact.id = given.contact_id AND (contact.name, contact.first_name, contact.attributes) IS DISTINCT FROM (
        coalesce(given.name, contact.name), coalesce(given.first_name, contact.first_name),
        contact.attributes || coalesce(given.attributes, '{{}}'))
    RETURNING contact.id
""")  # noqa: S608 - the statement is put together from our own words


@dataclass(slots=True, kw_only=True)
class Person:
    """What is known about somebody beside where they are. None says nothing; attributes add to those there are."""

    psid: str
    name: str | None = None
    first_name: str | None = None
    attributes: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Kept:
    """Who the people are now: psid → contact id (whoever stands for a merged one), which are new, which changed."""

    ids: dict[str, int]
    created: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)


def find_people(session: Session, page_id: int, psids: Collection[str]) -> dict[str, int]:
    """The contacts among ``psids`` that the page knows: psid → the id of whoever stands for them."""
    values = {"page_id": page_id, "psids": json.dumps(list(set(psids)))}
    found: dict[str, int] | None = session.connection().execute(_FIND, values).scalar()
    return found or {}


def keep_people(session: Session, page_id: int, people: Sequence[Person], now: int) -> Kept:
    """Keep what is known about people of a page, made where they were not there; their rows stay locked.

    Each psid once. The values have been checked (``records.py`` has the rules). Five statements whatever the number.
    Who is erased at this moment is in none of the answers.
    """
    session.flush()
    connection = session.connection()
    by_psid = {person.psid: person for person in people}
    ids = find_people(session, page_id, by_psid)
    created: dict[str, int] = {}
    if missing := [person for psid, person in by_psid.items() if psid not in ids]:
        # In one order everywhere: two transactions that make the same people wait, they do not deadlock.
        made = connection.execute(_INSERT, {"page_id": page_id, "rows": _rows(missing, {}), "now": now})
        created = {row.psid: row.id for row in made}
        if len(created) < len(missing):
            # Somebody else made them in between.
            ids |= find_people(session, page_id, by_psid)
        ids |= created
    erased = lock_contacts(session, ids.values())
    # Who was erased while their rows were waited for is left out.
    ids = {psid: id_ for psid, id_ in ids.items() if id_ not in erased}
    there = [person for psid, person in by_psid.items() if psid not in created and psid in ids]
    changed = connection.execute(_UPDATE, {"rows": _rows(there, ids)}) if there else ()
    return Kept(ids=ids, created=set(created.values()), changed={row.id for row in changed})


def _rows(people: Sequence[Person], ids: dict[str, int]) -> str:
    return json.dumps(
        [
            {
                "contact_id": ids.get(person.psid),
                "psid": person.psid,
                "name": person.name,
                "first_name": person.first_name,
                "attributes": person.attributes,
            }
            for person in people
        ]
    )
