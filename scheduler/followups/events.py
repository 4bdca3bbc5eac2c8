"""Business events as they arrive: checked, kept once, planned by the workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from scheduler.audit.record import record
from scheduler.contacts.registry import get_contact
from scheduler.content.render import CannotRender, render
from scheduler.content.tables import Template
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.followups.kinds import ORDER_SHIPPED, check_data, check_kind, variables_of
from scheduler.followups.recipes import get_recipe
from scheduler.followups.tables import BusinessEvent, Recipe
from scheduler.logs import request_id
from scheduler.pages.tables import Page

_KEEP = text("""
    INSERT INTO business_event (page_id, kind, key, body, occurred_at, received_at, plan_cursor,
        request_id)
    VALUES (:page_id, :kind, :key, CAST(:body AS jsonb), :occurred_at, :now, 0, :request_id)
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

    ``key`` is the shop's own name for the event: telling it twice answers the first one, whatever the second says.
    ``occurred_at`` is epoch seconds UTC, ``now`` if left out. Raises Invalid naming the field, Conflict when the page
    has no recipe for it.
    """
    assert page.id is not None  # a stored page has its id
    check_kind(kind, field="kind")
    if not key.strip() or len(key) > 200 or "\x00" in key:
        raise Invalid("is not a usable key", field="key", way_out="give 1 to 200 characters that name this event")
    known = _find(session, page.id, kind, key)
    if known is not None:
        return known, False
    told = check_data(kind, data)
    happened = now if occurred_at is None else occurred_at
    if happened < 0:
        raise Invalid("is before 1970", field="occurred_at", way_out="give an instant like 2026-03-28T08:00:00Z")
    if happened > now + _AHEAD:
        raise Invalid("is in the future", field="occurred_at", way_out="tell it once it has happened")
    try:
        recipe = get_recipe(session, page, kind)
    except NotFound as error:
        raise Conflict(error.message, field="kind", way_out=error.way_out) from error
    if kind == ORDER_SHIPPED:
        _check_person(session, page, recipe, told)
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
            "request_id": request_id(),
        },
    )
    new = inserted.rowcount == 1
    event = _find(session, page.id, kind, key)
    assert event is not None  # inserted here, or by whoever made the conflict
    if new:
        record(
            session,
            actor=actor,
            action="event.receive",
            subject=f"event:{event.id}",
            detail={"kind": kind, "key": key},
            now=now,
        )
    return event, new


def _find(session: Session, page_id: int, kind: str, key: str) -> BusinessEvent | None:
    return session.exec(
        select(BusinessEvent).where(
            BusinessEvent.page_id == page_id, BusinessEvent.kind == kind, BusinessEvent.key == key
        )
    ).first()


def _check_person(session: Session, page: Page, recipe: Recipe, told: Mapping[str, str]) -> None:
    """The person must be known, and the message must have something to say to them."""
    assert page.id is not None  # a stored page has its id
    try:
        contact = get_contact(session, page.id, told["psid"])
    except NotFound as error:
        raise Invalid(error.message, field="data.psid", way_out=error.way_out) from error
    template = session.get_one(Template, recipe.template_id)
    try:
        render(template, contact, page, variables_of(ORDER_SHIPPED, told))
    except CannotRender as error:
        raise Invalid(
            f"template `{template.name}` cannot be filled in ({error.field}: {error.message})",
            field="data",
            way_out="tell carrier and tracking too, or give the template's variables a default",
        ) from error
