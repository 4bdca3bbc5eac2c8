"""What a shop's own records say about many people at once: the PUT of a contact, a thousand at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.attributes import MAX_ATTRIBUTES, MAX_BYTES
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.newcomers import Person, make_people
from scheduler.privacy.suppressed import suppressed
from scheduler.store.copying import as_json
from scheduler.store.driver import driver_of

#: By the index of psids, one by one. Planned anew each time: a plan that is kept from when the table was empty goes
#: through all people of the page for each of a thousand, and was nine tenths of a first import. One cell, for rows
#: cost the driver.
_FIND: LiteralString = """
    SELECT json_object_agg(given.psid, found.id)
    FROM json_array_elements_text(CAST(%(psids)s AS json)) AS given (psid)
    CROSS JOIN LATERAL (
        SELECT coalesce(merged_into, id) AS id FROM contact WHERE page_id = %(page_id)s AND psid = given.psid LIMIT 1
    ) AS found
"""
# As one JSON text: to write a list for the driver element by element costs more than the statement.
_GIVEN = """
    json_to_recordset(CAST(:rows AS json)) AS given (
        contact_id bigint, name text, first_name text, attributes jsonb)
    CROSS JOIN LATERAL (
        SELECT id, name AS old_name, first_name AS old_first_name, attributes AS old_attributes,
            attributes || coalesce(given.attributes, '{}') AS all_attributes
        FROM contact WHERE id = given.contact_id LIMIT 1
    ) AS old
"""
#: Only what changes is written: most people of a second import are as they were.
_UPDATE = text(f"""
    UPDATE contact SET name = coalesce(said.name, contact.name),
        first_name = coalesce(said.first_name, contact.first_name), attributes = said.all_attributes
    FROM (SELECT * FROM {_GIVEN} WHERE (old_name, old_first_name, old_attributes) IS DISTINCT FROM
        (coalesce(given.name, old_name), coalesce(given.first_name, old_first_name), all_attributes)) AS said
    WHERE contact.id = said.contact_id
    RETURNING contact.id
""")  # noqa: S608 - the statement is put together from our own words
_OVERFULL = text(f"""
    SELECT given.contact_id FROM {_GIVEN} WHERE all_attributes <> old_attributes AND (
        (SELECT count(*) FROM jsonb_object_keys(all_attributes)) > :most
        OR octet_length(CAST(all_attributes AS text)) > :bytes)
""")  # noqa: S608 - the statement is put together from our own words


@dataclass(slots=True, kw_only=True)
class Kept:
    """Who the people are now: psid → contact id (whoever stands for a merged one), and what became of them."""

    ids: dict[str, int]
    #: Who is new; of whom a name or an attribute changed; who may be elsewhere now.
    created: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    #: Who would have had too many attributes: theirs stay as they were.
    overfull: set[int] = field(default_factory=set)


def find_people(session: Session, page_id: int, psids: Collection[str]) -> dict[str, int]:
    """The contacts among ``psids`` that the page knows: psid → the id of whoever stands for them."""
    values = {"page_id": page_id, "psids": as_json(list(set(psids)))}
    with driver_of(session) as driver:
        found = driver.execute(_FIND, values, prepare=False).fetchone()
    return found[0] or {} if found is not None else {}


def overfull(session: Session, attributes: Mapping[int, Mapping[str, Any]]) -> set[int]:
    """Who would have more attributes than anybody may, in number or in size, with these (contact id → them) added."""
    if not attributes:
        return set()
    rows = as_json([{"contact_id": id_, "attributes": said} for id_, said in attributes.items()])
    values = {"rows": rows, "most": MAX_ATTRIBUTES, "bytes": MAX_BYTES}
    return set(session.connection().execute(_OVERFULL, values).scalars())


def keep_people(
    session: Session, page_id: int, people: Sequence[Person], *, source: str, observed_at: int, now: int
) -> Kept:
    """Keep what ``source`` knows about people of a page, as of ``observed_at``; made where they were not there.

    Their rows stay locked. Each psid once. Names and attributes have been checked (``records.py`` has the rules). A few
    statements whatever the number. Who is erased at this moment is in none of the answers. Raises Invalid for a place
    that is none.
    """
    session.flush()
    ids = find_people(session, page_id, [person.psid for person in people])
    new = [person for person in people if person.psid not in ids]
    if new and (gone := suppressed(session, page_id, [person.psid for person in new])):
        # Looked up after it was seen that they are not there: whoever was erased a moment ago is not made anew.
        new = [person for person in new if person.psid not in gone]
    created: dict[str, int] = {}
    if new:
        created = make_people(session, page_id, new, source=source, observed_at=observed_at, now=now)
        if len(created) < len(new):
            # Somebody else made them in between.
            ids |= find_people(session, page_id, [person.psid for person in new])
        ids |= created
    kept = Kept(ids=ids, created=set(created.values()))
    # Who was erased while their rows were waited for is left out.
    erased = lock_contacts(session, set(ids.values()) - kept.created)
    kept.ids = {psid: id_ for psid, id_ in ids.items() if id_ not in erased}
    there = [(ids[each.psid], each) for each in people if each.psid in kept.ids and each.psid not in created]
    if there:
        _keep_more(session, kept, there, source, observed_at, now)
    return kept


def _keep_more(
    session: Session, kept: Kept, there: Sequence[tuple[int, Person]], source: str, observed_at: int, now: int
) -> None:
    """What is told of people who were there, and whose rows are held."""
    kept.overfull = overfull(session, {id_: each.attributes for id_, each in there if each.attributes})
    rows = [
        {
            "contact_id": id_,
            "name": each.name,
            "first_name": each.first_name,
            "attributes": each.attributes if id_ not in kept.overfull else None,
        }
        for id_, each in there
    ]
    kept.changed = set(session.connection().execute(_UPDATE, {"rows": as_json(rows)}).scalars())
    said = [
        Evidence(contact_id=id_, kind=kind, value=value, source=source, observed_at=observed_at)
        for id_, each in there
        for kind, value in each.places.items()
    ]
    kept.moved = record_evidence(session, said, now)
