"""What launched campaigns will plan for people that the planner has not come to yet: for whoever looks ahead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from policies.facts import Planned
from scheduler.campaigns.registry import still_to_plan, wish_of
from scheduler.campaigns.tables import Campaign
from scheduler.facts.planned import owner_of
from scheduler.outbox.plan import Wish, decide_wish


def wishes_to_plan(session: Session, page_id: int, least: int, now: int) -> list[tuple[Campaign, Wish]]:
    """The page's launched campaigns of priority ``least`` or higher that are being planned, in the planner's order."""
    campaigns = session.exec(
        select(Campaign)
        .where(Campaign.page_id == page_id, Campaign.status == "planning")
        .order_by(col(Campaign.priority).desc(), col(Campaign.launched_at), col(Campaign.id))
    ).all()
    wishes = [(campaign, wish_of(session, campaign, now)) for campaign in campaigns]
    return [(campaign, wish) for campaign, wish in wishes if wish.priority >= least]


def coming(
    session: Session, wishes: Sequence[tuple[Campaign, Wish]], contacts: Sequence[int], now: int
) -> Mapping[int, list[Planned]]:
    """Contact id → what these campaigns will plan for them, decided at ``now`` by the planner's own code."""
    found: defaultdict[int, list[Planned]] = defaultdict(list)
    for campaign, wish in wishes:
        owner = owner_of(campaign.id, None)
        for each in decide_wish(session, wish, still_to_plan(session, campaign, contacts), now, coming=found):
            at = each.due_at(now)
            if at is not None:
                found[each.contact_id].append(
                    Planned(at=at, category=wish.category, ground=each.decision.ground, owner=owner)
                )
    return found
