"""Business events as they arrive: checked, kept once, planned by the workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from scheduler.audit.record import record
from scheduler.contacts.identities import KINDS as KINDS_OF_IDENTITY
from scheduler.contacts.identities import find_by_identity, hashing_keys, keys_of, uniform, wait_for_links
from scheduler.contacts.registry import get_contact
from scheduler.contacts.tables import Contact
from scheduler.content.render import CannotRender, render
from scheduler.content.tables import Template
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.facts.event_kinds import variables_of
from scheduler.followups.interests import record_signal
from scheduler.followups.kinds import KINDS, check_data, check_told, is_personal, product_signal
from scheduler.followups.recipes import get_recipe
from scheduler.followups.tables import BusinessEvent, Recipe
from scheduler.logs import request_id
from scheduler.pages.tables import Page
from scheduler.privacy.suppressed import refuse_erased_name, refuse_suppressed

_KEEP = text("""
    INSERT INTO business_event (page_id, kind, key, body, occurred_at, received_at, plan_cursor, planned_at,
        contact_id, person_kind, person_key, request_id)
    VALUES (:page_id, :kind, :key, CAST(:body AS jsonb), :occurred_at, :now, 0, :planned_at,
        :contact_id, :person_kind, :person_key, :request_id)
    ON CONFLICT (page_id, kind, key) DO NOTHING
""")
#: How far ahead of ours a shop's clock may be, seconds.
_AHEAD = 300


def receive_event(
    session: Session,
    page: Page,
    *,
    kind: str,
    key: str,
    data: Mapping[str, Any],
    occurred_at: int | None = None,
    actor: str,
    now: int,
) -> tuple[BusinessEvent, bool]:
    """Keep what happened in the shop; returns it, and whether it is new.

    ``key`` is the shop's own name for the event: telling it twice answers the first one.
    ``occurred_at`` is epoch seconds UTC, ``now`` if left out. An event about somebody whom an identity names and nobody
    knows yet is kept and waits for them (``waiting.py``). Raises Invalid naming the field, also for an unknown psid,
    and Conflict when the page has no recipe for what is to be sent, the person was erased, or the key named another
    event before.
    """
    assert page.id is not None  # a stored page has its id
    check_told(kind, field="kind")
    if not key.strip() or len(key) > 200 or "\x00" in key:
        raise Invalid("is not a usable key", field="key", way_out="give 1 to 200 characters that name this event")
    told = check_data(kind, data)
    known = _find(session, page.id, kind, key)
    if known is not None:
        _check_same(session, known, told, occurred_at)
        return known, False
    happened = now if occurred_at is None else occurred_at
    if happened < 0:
        raise Invalid("is before 1970", field="occurred_at", way_out="give an instant like 2026-03-28T08:00:00Z")
    if happened > now + _AHEAD:
        raise Invalid("is in the future", field="occurred_at", way_out="tell it once it has happened")
    recipe = _recipe(session, page, kind)
    person = _person(session, page.id, told) if is_personal(kind) else _Person()
    if recipe is not None and person.contact is not None:
        _check_fills(session, page, recipe, person.contact, told)
    session.flush()
    inserted = session.connection().execute(
        _KEEP,
        {
            "page_id": page.id,
            "kind": kind,
            "key": key,
            "body": json.dumps(told),
            "occurred_at": min(happened, now),
            "now": now,
            # There is nothing to plan for what sends nothing.
            "planned_at": now if recipe is None else None,
            "contact_id": person.contact.id if person.contact is not None else None,
            "person_kind": person.kind,
            "person_key": person.key,
            "request_id": request_id(),
        },
    )
    new = inserted.rowcount == 1
    event = _find(session, page.id, kind, key)
    assert event is not None  # inserted here, or by whoever made the conflict
    if not new:
        _check_same(session, event, told | person.said, occurred_at)
    if new:
        _note_interest(session, event, now)
        record(
            session,
            actor=actor,
            action="event.receive",
            subject=f"event:{event.id}",
            # The audit outlasts an erasure, and a name for what happened to somebody may name them: the row has it.
            detail={"kind": kind} if is_personal(kind) else {"kind": kind, "key": key},
            now=now,
        )
    return event, new


def _find(session: Session, page_id: int, kind: str, key: str) -> BusinessEvent | None:
    return session.exec(
        select(BusinessEvent).where(
            BusinessEvent.page_id == page_id, BusinessEvent.kind == kind, BusinessEvent.key == key
        )
    ).first()


def _check_same(session: Session, known: BusinessEvent, told: Mapping[str, str], occurred_at: int | None) -> None:
    """Raise Conflict when the event that has this key already is another one."""
    if not known.body:
        # Blanked by retention: what it said is not known any more.
        return
    kept = {member: value for member, value in told.items() if member not in ("phone", "email")}
    other = {member for member in {*kept, *known.body} if kept.get(member) != known.body.get(member)}
    hashed = next((member for member in ("phone", "email") if member in told), None)
    if hashed is not None:
        name = uniform(hashed, told[hashed], field=f"data.{hashed}")
        if known.person_key not in keys_of(hashing_keys(session), known.page_id, hashed, name):
            other.add(hashed)
    elif known.person_kind in ("phone", "email"):
        other.add(known.person_kind)
    if occurred_at is not None and min(occurred_at, known.received_at) != known.occurred_at:
        other.add("occurred_at")
    if other:
        raise Conflict(
            f"names another event of {known.kind}, which differs in {', '.join(sorted(other))}",
            field="key",
            way_out="give each event a key of its own; tell the same event again with what it said at first",
        )


@dataclass(slots=True, kw_only=True)
class _Person:
    """Whom an event is about: the contact, where known, and the identity that named them, as it is stored."""

    #: The telephone number or the address that named them, which is taken out of what is kept.
    said: dict[str, str] = field(default_factory=dict)
    contact: Contact | None = None
    kind: str | None = None
    key: str | None = None


def _recipe(session: Session, page: Page, kind: str) -> Recipe | None:
    if kind not in KINDS:
        return None
    try:
        return get_recipe(session, page, kind)
    except NotFound as error:
        raise Conflict(error.message, field="kind", way_out=error.way_out) from error


def _person(session: Session, page_id: int, told: dict[str, str]) -> _Person:
    """The person whom ``told`` names. A number or an address is taken out of it: only its hash is kept."""
    if "psid" in told:
        try:
            contact = get_contact(session, page_id, told["psid"])
        except NotFound as error:
            raise Invalid(error.message, field="data.psid", way_out=error.way_out) from error
        # Who was erased and wrote again is there, and what a shop knows of them is not kept again all the same.
        refuse_suppressed(session, page_id, [told["psid"]])
        return _Person(contact=_survivor(session, contact))
    kind = next(each for each in KINDS_OF_IDENTITY if each in told)
    name = uniform(kind, told[kind], field=f"data.{kind}")
    said: dict[str, str] = {} if kind == "crm_id" else {kind: told.pop(kind)}
    # Whoever links them from now on finds this event; whoever did before is found by it.
    wait_for_links(session, alone=False)
    found = find_by_identity(session, page_id, kind, [name])
    contact_id = found.get(name)
    keys = keys_of(hashing_keys(session), page_id, kind, name)
    if contact_id is None:
        refuse_erased_name(session, page_id, kind, keys)
    return _Person(
        contact=session.get_one(Contact, contact_id, populate_existing=True) if contact_id is not None else None,
        kind=kind,
        key=keys[0],
        said=said,
    )


def _survivor(session: Session, contact: Contact) -> Contact:
    if contact.merged_into is None:
        return contact
    return session.get_one(Contact, contact.merged_into, populate_existing=True)


def _note_interest(session: Session, event: BusinessEvent, now: int) -> None:
    signal = product_signal(event.kind)
    if signal is not None and event.contact_id is not None:
        sku, name = event.body["sku"], event.body.get("name")
        record_signal(
            session, event.contact_id, signal, sku, name, event_id=event.id, at=event.occurred_at, now=now
        )  # fmt: skip


def _check_fills(session: Session, page: Page, recipe: Recipe, contact: Contact, told: Mapping[str, str]) -> None:
    """The message must have something to say to the person."""
    template = session.get_one(Template, recipe.template_id)
    try:
        render(template, contact, page, variables_of(recipe.kind, told))
    except CannotRender as error:
        raise Invalid(
            f"template `{template.name}` cannot be filled in ({error.field}: {error.message})",
            field="data",
            way_out="tell carrier and tracking too, or give the template's variables a default",
        ) from error
