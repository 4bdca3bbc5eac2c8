"""Launched campaigns become messages, a keyset chunk a transaction: whatever dies, the cursor tells where to go on."""

from __future__ import annotations

from sqlalchemy import ColumnElement, text, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from scheduler.campaigns.registry import audience_chunk, wish_of
from scheduler.campaigns.tables import Campaign
from scheduler.contacts.lock import lock_contacts
from scheduler.governance.active import active_policies
from scheduler.logs import get_logger
from scheduler.outbox.giving_way import give_way
from scheduler.outbox.plan import decide_wish, store_planned
from scheduler.outbox.wake import hold_wakes

_log = get_logger(__name__)

#: Contacts of one transaction.
CHUNK = 2000

_PLANNED_PAGES = text("SELECT DISTINCT page_id FROM campaign WHERE status = 'planning'")
_FINISH = text("""
    UPDATE campaign SET status = 'finished' WHERE id IN (
        SELECT id FROM campaign c WHERE status = 'running' AND NOT EXISTS (
            SELECT 1 FROM message m
            WHERE m.campaign_id = c.id AND m.state IN ('scheduled', 'due', 'sending', 'in_doubt')
        ) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
""")


def plan_next(session: Session, now: int, limit: int = CHUNK) -> bool:
    """Plan the next chunk of the oldest campaign that nobody else is planning; False when there is none.

    A page's campaigns are planned one after another, the higher priority first: each counts what those before it have
    scheduled, so that what their previews said comes true.
    A page whose policy cannot be read has its campaigns wait, and nobody else's.
    With nothing left to plan, campaigns of which nothing waits any more are called finished.
    The chunk's messages and the cursor are one transaction, the caller's: call it again until it answers False.
    """
    # Before any row is locked: see ``hold_wakes``.
    hold_wakes(session)
    pages = session.connection().execute(_PLANNED_PAGES).scalars().all()
    waiting = active_policies(session, pages).unreadable.keys()
    campaign = session.exec(
        select(Campaign)
        .where(Campaign.status == "planning", col(Campaign.page_id).not_in(waiting), ~_another_first())
        .order_by(col(Campaign.launched_at), col(Campaign.id))
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()
    if campaign is None:
        finish_campaigns(session)
        return False
    contacts = audience_chunk(
        session, campaign, after=campaign.plan_cursor, until=campaign.plan_until or 0, limit=limit
    )
    if contacts:
        # Locked before their facts are read: what is acknowledged after this wakes the messages that it finds.
        lock_contacts(session, contacts)
        wish = wish_of(session, campaign, now)
        decided = decide_wish(session, wish, contacts, now)
        states = store_planned(session, wish, decided, now)
        gave_way = give_way(session, wish, decided, now)
        _log.info("planned", request_id=campaign.request_id, campaign_id=campaign.id, states=states, gave_way=gave_way)
        campaign.plan_cursor = contacts[-1]
    if len(contacts) < limit:
        campaign.planned_at = now
        campaign.status = "running"
    session.add(campaign)
    session.flush()
    return True


def _another_first() -> ColumnElement[bool]:
    """Whether another campaign of the page is to be planned before it."""
    other = aliased(Campaign)
    rank = tuple_(-other.priority, other.launched_at, other.id)
    return (
        select(other.id)
        .where(
            other.page_id == Campaign.page_id,
            other.status == "planning",
            rank < tuple_(-col(Campaign.priority), col(Campaign.launched_at), col(Campaign.id)),
        )
        .exists()
    )


def finish_campaigns(session: Session) -> int:
    """Call campaigns finished of which nothing waits or is on its way; returns how many."""
    session.flush()
    return session.connection().execute(_FINISH).rowcount
