"""Who is not to be imported again: people whose data was erased at their wish. They stay as they are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.bulk import find_people
from scheduler.privacy.suppressed import suppressed

#: By the ids alone: joined by psid, PostgreSQL reads all people of the page where it has no statistics yet.
_ERASED = text("""
    SELECT contact_id FROM suppression WHERE contact_id = ANY(:ids) AND reason = 'erased' AND lifted_at IS NULL
""")


def refused(session: Session, page_id: int, psids: Collection[str]) -> set[str]:
    """Those of ``psids`` whom no file brings back."""
    ids = find_people(session, page_id, psids)
    erased = set(session.connection().execute(_ERASED, {"ids": sorted(set(ids.values()))}).scalars())
    found = {psid for psid, contact_id in ids.items() if contact_id in erased}
    return found | set(suppressed(session, page_id, psids))
