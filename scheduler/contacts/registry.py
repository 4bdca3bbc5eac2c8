"""Who there is: a contact is a page and the page-scoped id the platform knows the person by."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel import Session, select

from scheduler.contacts.tables import Contact
from scheduler.errors import NotFound

_FIND = text("SELECT psid, id FROM contact WHERE page_id = :page_id AND psid = ANY(:psids)")

_INSERT = text(
    """
    INSERT INTO contact (page_id, psid, created_at)
    SELECT :page_id, psid, :now FROM unnest(CAST(:psids AS text[])) WITH ORDINALITY AS given (psid, place)
    ORDER BY place
    ON CONFLICT (page_id, psid) DO NOTHING
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
    """The contact ids of all ``psids``, made where the page did not know them yet: psid → contact id."""
    wanted = sorted(set(psids))
    known = find_contacts(session, page_id, wanted)
    missing = [psid for psid in wanted if psid not in known]
    if missing:
        # In one order everywhere: two transactions that make the same people wait, they do not deadlock.
        session.connection().execute(_INSERT, {"page_id": page_id, "psids": missing, "now": now})
        known.update(find_contacts(session, page_id, missing))
    return known


def get_contact(session: Session, page_id: int, psid: str) -> Contact:
    """The contact of a page by the platform's id. Raises NotFound."""
    found = session.exec(
        select(Contact)
        .where(Contact.page_id == page_id, Contact.psid == psid)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound(
            f"the page knows no contact `{psid}`", field="psid", way_out="PUT it first, or wait until the person writes"
        )
    return found
