"""Who would have more attributes than anybody may once a row's are added to those there are.

It is an error when rows are checked. Who got others between check and application keeps those there were, and the row
is an error then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.attributes import MAX_ATTRIBUTES, MAX_BYTES
from scheduler.contacts.bulk import overfull
from scheduler.imports.rows import Problem, Reading
from scheduler.imports.tables import ContactImport

_ALLOWED = f"{MAX_ATTRIBUTES} attributes and {MAX_BYTES} bytes of them as JSON, with those there are"
_TOO_MANY = Problem("the person would have too many attributes", _ALLOWED, field="attributes")
_KEEP = text("""
    INSERT INTO contact_import_error (import_id, n, line, field, problem, allowed, severity)
    SELECT import_id, n, line, 'attributes', :problem, :allowed, 'error' FROM contact_import_person
    WHERE import_id = :id AND n BETWEEN :first AND :last AND psid = ANY(:psids)
""")


def refuse_overfull(session: Session, readings: Iterable[Reading], ids: dict[str, int]) -> None:
    """Add a problem to those of ``readings`` that would give somebody (psid → contact id) too many."""
    telling = [
        (ids[each.psid], each) for each in readings if each.psid in ids and "attributes" in each.known and each.psid
    ]
    found = overfull(session, {contact_id: each.known["attributes"] for contact_id, each in telling})
    for contact_id, each in telling:
        if contact_id in found:
            each.problems.append(_TOO_MANY)


def tell_overfull(session: Session, found: ContactImport, psids: Sequence[str], *, first: int, last: int) -> None:
    """Keep as an error that the attributes of these people's rows, from row ``first`` to ``last``, were left out."""
    if not psids:
        return
    values = {"id": found.id, "first": first, "last": last, "psids": list(psids), "allowed": _ALLOWED}
    problem = f"{_TOO_MANY.problem}: those there were stay, the rest of the row is applied"
    found.bad += session.connection().execute(_KEEP, values | {"problem": problem}).rowcount
