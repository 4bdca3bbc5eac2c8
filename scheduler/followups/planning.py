"""Business events become messages, a keyset chunk a transaction."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.contacts.lock import lock_contacts
from scheduler.contacts.registry import find_contacts
from scheduler.content.tables import Template
from scheduler.facts.event_kinds import BACK_IN_STOCK, is_requested, variables_of
from scheduler.followups.tables import BusinessEvent, Recipe
from scheduler.governance.active import active_policies
from scheduler.logs import get_logger
from scheduler.outbox.giving_way import give_way
from scheduler.outbox.plan import Wish, decide_wish, store_planned
from scheduler.outbox.wake import hold_wakes

_log = get_logger(__name__)

#: Contacts of one transaction.
CHUNK = 2000

# What waits for its person is not to be planned yet. These words are those of the index.
_OPEN = "planned_at IS NULL AND (contact_id IS NOT NULL OR person_key IS NULL)"
_PLANNED_PAGES = text(f"SELECT DISTINCT page_id FROM business_event WHERE {_OPEN}")  # noqa: S608 - our own words
_ASKED = text("""
    SELECT contact_id FROM interest
    WHERE page_id = :page_id AND sku = :sku AND contact_id > :after AND served_at IS NULL
    ORDER BY contact_id LIMIT :limit
""")
_SERVED = text("""
    UPDATE interest SET served_at = :now, event_id = :event_id
    WHERE page_id = :page_id AND sku = :sku AND contact_id = ANY(:contacts) AND served_at IS NULL
""")


def plan_next_event(session: Session, now: int, limit: int = CHUNK) -> bool:
    """Plan the next chunk of the oldest event that nobody else is planning; False when there is none.

    Back in stock goes to those who asked for that product and have not been told since; their wish is served with the
    message, whatever policy makes of it. The chunk and the cursor are one transaction, the caller's.
    A page whose policy cannot be read has its events wait, and nobody else's.
    """
    # Before any row is locked: see ``hold_wakes``.
    hold_wakes(session)
    pages = session.connection().execute(_PLANNED_PAGES).scalars().all()
    waiting = active_policies(session, pages).unreadable.keys()
    event = session.exec(
        select(BusinessEvent)
        .where(text(_OPEN), col(BusinessEvent.page_id).not_in(waiting))
        .order_by(col(BusinessEvent.id))
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()
    if event is None:
        return False
    contacts = _audience(session, event, limit)
    if contacts:
        # Locked before their facts are read: what is acknowledged after this wakes the messages that it finds.
        lock_contacts(session, contacts)
        wish = _wish(session, event)
        decided = decide_wish(session, wish, contacts, now)
        states = store_planned(session, wish, decided, now)
        gave_way = give_way(session, wish, decided, now)
        _log.info("planned", request_id=event.request_id, event_id=event.id, states=states, gave_way=gave_way)
        event.plan_cursor = contacts[-1]
    if event.kind == BACK_IN_STOCK and contacts:
        session.connection().execute(
            _SERVED,
            {
                "now": now,
                "event_id": event.id,
                "page_id": event.page_id,
                "sku": event.body["sku"],
                "contacts": contacts,
            },
        )
    if event.kind != BACK_IN_STOCK or len(contacts) < limit:
        event.planned_at = now
    session.add(event)
    session.flush()
    return True


def _audience(session: Session, event: BusinessEvent, limit: int) -> list[int]:
    if event.kind == BACK_IN_STOCK:
        return list(
            session.connection()
            .execute(
                _ASKED,
                {"page_id": event.page_id, "sku": event.body["sku"], "after": event.plan_cursor, "limit": limit},
            )
            .scalars()
        )
    if event.contact_id is not None:
        return [event.contact_id]
    return list(find_contacts(session, event.page_id, [event.body["psid"]]).values())


def _wish(session: Session, event: BusinessEvent) -> Wish:
    # The recipe as it is now: whoever corrected it meant what has not been planned yet, too.
    recipe = session.get_one(Recipe, (event.page_id, event.kind), populate_existing=True)
    template = session.get_one(Template, recipe.template_id)
    return Wish(
        page_id=event.page_id,
        template_id=recipe.template_id,
        category=template.category,
        topic=template.topic,
        expires_at=event.occurred_at + recipe.expires_after,
        may_wait=True,
        event_id=event.id,
        requested=is_requested(event.kind),
        variables=variables_of(event.kind, event.body),
    )
