"""A campaign's way: draft → planning → running → finished; paused and back; cancelled.

Each step locks the campaign's row, so that it and the planner's next chunk follow one another.
"""

from __future__ import annotations

from sqlmodel import Session

from scheduler.audit.record import record
from scheduler.campaigns.registry import check_schedule, end_of, last_contact, lock_campaign
from scheduler.campaigns.tables import Campaign
from scheduler.errors import Conflict
from scheduler.logs import request_id
from scheduler.outbox.wake import cancel_campaign_messages, wait_for_deciders, wake_parked

_LAUNCHED = ("planning", "running")


def launch(session: Session, campaign_id: int, *, actor: str, now: int) -> Campaign:
    """Take the audience as it is now and have it planned. Once only: raises Conflict the second time.

    A campaign whose messages may wait gets an end here if it has none. Raises Invalid naming the field when its
    schedule lets nobody get it any more, or not for 30 days.
    """
    campaign = lock_campaign(session, campaign_id)
    if campaign.status != "draft":
        raise Conflict(
            f"campaign {campaign_id} was launched already and is {campaign.status}"
            if campaign.launched_at is not None
            else f"campaign {campaign_id} is {campaign.status}",
            way_out="a campaign goes out once; create another one",
        )
    # The draft may have lain around until nobody could get it any more.
    check_schedule(campaign.not_before, campaign.expires_at, now)
    campaign.status = "planning"
    campaign.launched_at = now
    campaign.expires_at = end_of(campaign, now)
    campaign.request_id = request_id()
    campaign.plan_until = last_contact(session, campaign.page_id)
    _keep(session, campaign, actor, "launch", now)
    return campaign


def pause(session: Session, campaign_id: int, *, actor: str, now: int) -> Campaign:
    """Hold what has not gone out. Messages that become due meanwhile wait for the resume."""
    campaign = lock_campaign(session, campaign_id)
    if campaign.status not in _LAUNCHED:
        raise Conflict(
            f"campaign {campaign_id} is {campaign.status}", way_out="only a launched, unfinished campaign can be paused"
        )
    campaign.status = "paused"
    _keep(session, campaign, actor, "pause", now)
    wait_for_deciders(session)
    return campaign


def resume(session: Session, campaign_id: int, *, actor: str, now: int) -> Campaign:
    """Go on where the pause stopped it: planning included. Waiting messages are decided anew."""
    campaign = lock_campaign(session, campaign_id)
    if campaign.status != "paused":
        raise Conflict(f"campaign {campaign_id} is {campaign.status}", way_out="only a paused campaign can be resumed")
    campaign.status = "planning" if campaign.planned_at is None else "running"
    _keep(session, campaign, actor, "resume", now)
    wake_parked(session, now, campaign_id=campaign_id)
    return campaign


def cancel(session: Session, campaign_id: int, *, actor: str, now: int) -> Campaign:
    """Take back everything that has not been sent. What is on the wire stays on the wire."""
    campaign = lock_campaign(session, campaign_id)
    if campaign.status in ("cancelled", "finished"):
        raise Conflict(f"campaign {campaign_id} is {campaign.status}", way_out="there is nothing left to cancel")
    campaign.status = "cancelled"
    _keep(session, campaign, actor, "cancel", now)
    cancel_campaign_messages(session, campaign_id, actor, now)
    return campaign


def _keep(session: Session, campaign: Campaign, actor: str, what: str, now: int) -> None:
    session.add(campaign)
    record(
        session,
        actor=actor,
        action=f"campaign.{what}",
        subject=f"campaign:{campaign.id}",
        detail={"name": campaign.name},
        now=now,
    )
    session.flush()
