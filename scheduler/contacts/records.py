"""What a shop's own records say about a person: the PUT of a contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlmodel import Session, select

from scheduler.contacts.attributes import MAX_TEXT, check_attributes, patched, storable
from scheduler.contacts.evidence import Evidence, Kind, forget_evidence, record_evidence
from scheduler.contacts.persons import lock_persons
from scheduler.contacts.places import check_country, check_locale, check_region, check_zone, check_zones
from scheduler.contacts.psids import check_psid
from scheduler.contacts.registry import ensure_contacts, get_contact
from scheduler.contacts.tables import Contact
from scheduler.errors import Invalid
from scheduler.privacy.suppressed import refuse_suppressed

#: What ``changes`` may name.
FIELDS = ("timezone", "timezones", "country", "region", "locale", "name", "first_name", "attributes")

#: Which of them tell where the person is, and as what.
_EVIDENCE: dict[str, Kind] = {"timezones": "zone", "country": "country", "region": "region", "locale": "locale"}


def upsert_contact(
    session: Session, page_id: int, psid: str, *, changes: Mapping[str, object], source: str = "api", now: int
) -> Contact:
    """Keep what is known about a contact, made if it was not there. Only the fields in ``changes`` change.

    ``timezone`` (an IANA name) or ``timezones`` (candidates), ``country`` (ISO 3166-1), ``region`` (ISO 3166-2),
    ``locale``, ``name``, ``first_name``, ``attributes`` (replaced as a whole); None forgets a field. ``source``
    is ``api`` or ``import``. Better or other evidence of the place has the contact's messages decided anew.
    Of a merged contact it is kept with, and returned is, who stands for the person. Raises Invalid with the field;
    nothing is kept then.
    """
    check_psid(psid, field="psid")
    wanted = _checked(changes)
    contact_id = ensure_contacts(session, page_id, [psid], now)[psid]
    contact_id = lock_persons(session, [contact_id]).get(contact_id, contact_id)
    contact = _reread(session, contact_id)
    if contact.erased_at is not None:
        # While we waited for their row.
        refuse_suppressed(session, page_id, [psid])
    region, country = wanted.get("region", contact.region), wanted.get("country", contact.country)
    if region is not None:
        check_region(region, country=country)
    for field in ("name", "first_name", "attributes"):
        if field in wanted:
            setattr(contact, field, wanted[field])
    session.add(contact)
    session.flush()
    _keep_place(session, contact_id, wanted, source, now)
    return _reread(session, contact_id)


def patch_contact(
    session: Session, page_id: int, psid: str, *, changes: Mapping[str, object], source: str = "api", now: int
) -> Contact:
    """``upsert_contact`` as a merge patch (RFC 7386): attributes that are not named stay, null removes one.

    Raises NotFound for a contact that is not there.
    """
    contact = get_contact(session, page_id, psid)
    assert contact.id is not None  # a stored contact has its id
    who = lock_persons(session, [contact.id]).get(contact.id, contact.id)
    if "attributes" in changes:
        present = _reread(session, who).attributes
        changes = {**changes, "attributes": patched(present, changes["attributes"])}
    return upsert_contact(session, page_id, psid, changes=changes, source=source, now=now)


def _reread(session: Session, contact_id: int) -> Contact:
    return session.exec(select(Contact).where(Contact.id == contact_id).execution_options(populate_existing=True)).one()


def _keep_place(session: Session, contact_id: int, wanted: Mapping[str, Any], source: str, now: int) -> None:
    named = {kind: wanted[field] for field, kind in _EVIDENCE.items() if field in wanted}
    forget_evidence(session, (contact_id,), [kind for kind, value in named.items() if value is None], now)
    said = [
        Evidence(contact_id=contact_id, kind=kind, value=value, source=source, observed_at=now)
        for kind, value in named.items()
        if value is not None
    ]
    record_evidence(session, said, now)


def _checked(changes: Mapping[str, object]) -> dict[str, Any]:
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise Invalid(f"a contact has no `{unknown[0][:64]}`", field=unknown[0], way_out=f"use {', '.join(FIELDS)}")
    if changes.get("timezone") is not None and changes.get("timezones") is not None:
        raise Invalid(
            "is given beside timezones", field="timezone", way_out="give one zone, or several candidates, not both"
        )
    wanted: dict[str, Any] = {}
    if "timezone" in changes:
        zone = _text(changes, "timezone")
        wanted["timezones"] = [check_zone(zone)] if zone is not None else None
    if changes.get("timezones") is not None or ("timezones" in changes and "timezones" not in wanted):
        wanted["timezones"] = check_zones(_texts(changes["timezones"])) or None
    for field, check in (("country", check_country), ("region", check_region), ("locale", check_locale)):
        if field in changes:
            given = _text(changes, field)
            wanted[field] = check(given) if given is not None else None
    for field in ("name", "first_name"):
        if field in changes:
            wanted[field] = _text(changes, field)
    if "attributes" in changes:
        wanted["attributes"] = check_attributes(changes["attributes"])
    return wanted


def _text(changes: Mapping[str, object], field: str) -> str | None:
    value = changes[field]
    if value is None:
        return None
    if isinstance(value, str) and not value.strip():
        raise Invalid("is empty", field=field, way_out="give text, or null to forget it")
    if not isinstance(value, str) or not storable(value):
        raise Invalid("is not text", field=field, way_out="give text, or null to forget it")
    if len(value) > MAX_TEXT:
        raise Invalid(f"has {len(value)} characters", field=field, way_out=f"use {MAX_TEXT} at most")
    return value.strip()


def _texts(value: object) -> Sequence[str]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise Invalid("is not a list of names", field="timezones", way_out='give a list, like ["America/New_York"]')
    return cast(Sequence[str], value)
