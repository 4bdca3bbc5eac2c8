"""Who there is: a contact is a page and the page-scoped id the platform knows the person by."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.contacts.tables import Contact
from scheduler.errors import NotFound
from scheduler.privacy.suppressed import refuse_suppressed, suppressed
from scheduler.store.direct import Ask, fetch

_FIND = text("SELECT psid, id FROM contact WHERE page_id = :page_id AND psid = ANY(:psids)")

_INSERT = text(
    """
    INSERT INTO contact (page_id, psid, created_at)
    SELECT :page_id, psid, :now FROM unnest(CAST(:psids AS text[])) WITH ORDINALITY AS given (psid, place)
    ORDER BY place
    ON CONFLICT (page_id, psid) DO NOTHING
    """
)

#: By the index of psids, one by one, however many the planner believes there are. A plan that was made and kept while
#: the table was empty would take any index of the page's, and go through all its people for each: so psids are compared
#: in a way that leaves them an order, which that one index has.
_FIND_PEOPLE = text(
    """
    SELECT given.page_id, given.psid, c.id, c.merged_into, c.created_at
    FROM json_to_recordset(CAST(:people AS json)) AS given (page_id int, psid text)
    CROSS JOIN LATERAL (
        SELECT id, merged_into, created_at FROM contact
        WHERE page_id = given.page_id AND psid BETWEEN given.psid AND given.psid ORDER BY psid LIMIT 1
    ) c
    """
)

_FOLLOW = text("SELECT id, merged_into FROM contact WHERE id = ANY(:ids) AND merged_into IS NOT NULL")

_INSERT_PEOPLE = text(
    """
    INSERT INTO contact (page_id, psid, last_inbound_at, heard_ms, created_at)
    SELECT page_id, psid, inbound, heard, :now
    FROM json_to_recordset(CAST(:people AS json)) AS given (page_id int, psid text, inbound bigint, heard bigint)
    ORDER BY page_id, psid COLLATE "C"
    ON CONFLICT (page_id, psid) DO NOTHING
    RETURNING page_id, psid, id
    """
)


def find_contacts(session: Session, page_id: int, psids: Iterable[str]) -> dict[str, int]:
    """The contacts among ``psids`` that the page knows: psid → contact id."""
    wanted = sorted(set(psids))
    if not wanted:
        return {}
    rows = session.connection().execute(_FIND, {"page_id": page_id, "psids": wanted})
    return {row.psid: row.id for row in rows}


def ensure_contacts(session: Session, page_id: int, psids: Iterable[str], now: int) -> dict[str, int]:
    """The contact ids of all ``psids``, made where the page did not know them yet: psid → contact id.

    Raises Conflict, and makes nobody, when one of them was erased: no shop brings them back.
    """
    wanted = sorted(set(psids))
    # In this order: who is erased in between was found, or is refused. The other way round they would be made anew.
    known = find_contacts(session, page_id, wanted)
    refuse_suppressed(session, page_id, wanted)
    missing = [psid for psid in wanted if psid not in known]
    if missing:
        # In one order everywhere: two transactions that make the same people wait, they do not deadlock.
        session.connection().execute(_INSERT, {"page_id": page_id, "psids": missing, "now": now})
        known.update(find_contacts(session, page_id, missing))
    return known


def get_contact(session: Session, page_id: int, psid: str, *, field: str = "psid") -> Contact:
    """The contact of a page by the platform's id. Raises NotFound, naming ``field``."""
    found = session.exec(
        select(Contact)
        .where(Contact.page_id == page_id, Contact.psid == psid, col(Contact.erased_at).is_(None))
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        if suppressed(session, page_id, [psid]):
            raise NotFound(
                "this person's data was erased at their wish", field=field,
                way_out="nothing is known of them but that they are not to be messaged",
            )  # fmt: skip
        raise NotFound(
            f"the page knows no contact `{psid}`",
            field=field,
            way_out="import or save them first, or wait until they write",
        )
    return found


def find_people(session: Session, people: Collection[tuple[int, str]]) -> dict[tuple[int, str], tuple[int, int, int]]:
    """The contacts among these of several pages, in one statement.

    (page, psid) → (contact id, id of who stands for them now: see ``follow``, when they were made, epoch seconds).
    """
    if not people:
        return {}
    return found_people(fetch(session, *people_ask(people)))


def people_ask(people: Collection[tuple[int, str]]) -> Ask:
    """What ``find_people`` asks, for whoever asks it together with something else."""
    return _FIND_PEOPLE, {"people": _json(people)}


def found_people(
    rows: Iterable[tuple[int, str, int, int | None, int]],
) -> dict[tuple[int, str], tuple[int, int, int]]:
    """What ``find_people`` makes of the answer."""
    return {
        (page_id, psid): (contact_id, survivor or contact_id, created_at)
        for page_id, psid, contact_id, survivor, created_at in rows
    }


def ensure_people(
    session: Session, people: Mapping[tuple[int, str], tuple[int | None, int | None]], now: int
) -> tuple[dict[tuple[int, str], tuple[int, int, int]], set[int]]:
    """Make these people, whom ``find_people`` did not find; returns the same, also of whom others made meanwhile.

    Each with the newest instant at which they did something that opens the window, epoch seconds, and the newest at
    which they spoke to our own app, milliseconds. And the ids of those that were made here: nobody else has their rows,
    and what is said of their windows stands there already.
    """
    if not people:
        return {}, set()
    given = [
        {"page_id": page_id, "psid": psid, "inbound": inbound, "heard": heard}
        for (page_id, psid), (inbound, heard) in people.items()
    ]
    # In one order everywhere: two transactions that make the same people wait, they do not deadlock.
    rows = fetch(session, _INSERT_PEOPLE, {"people": json.dumps(given), "now": now})
    known = {(page_id, psid): (contact_id, contact_id, now) for page_id, psid, contact_id in rows}
    made = {contact_id for contact_id, _, _ in known.values()}
    known.update(find_people(session, [person for person in people if person not in known]))
    return known, made


def follow(session: Session, contact_ids: Iterable[int]) -> dict[int, int]:
    """Who stands for these contacts now: contact id → survivor's id, of those alone that were merged.

    What somebody says of being messaged is the person's and goes to whoever stands for them; a window, a thread and a
    token are an address's and stay with it.
    """
    rows = fetch(session, _FOLLOW, {"ids": sorted(set(contact_ids))})
    return {row.id: row.merged_into for row in rows}


def _json(people: Collection[tuple[int, str]]) -> str:
    # An array of texts would be escaped text by text.
    return json.dumps([{"page_id": page_id, "psid": psid} for page_id, psid in people])
