"""Kill switches over REST."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.campaigns.registry import get_campaign
from scheduler.doorbell import ring
from scheduler.facts import radius
from scheduler.governance import switches
from scheduler.governance.tables import KillSwitch
from scheduler.pages.registry import get_page
from scheduler.pages.tables import Page

router = APIRouter(prefix="/kill-switch", tags=["governance"])

_PAGE = "The platform's id of a page; left out: every page."
_CAMPAIGN = "One campaign alone."
_CATEGORY = "promotional, utility or service; left out: all."


class NewSwitch(Body):
    """What stops, and why. All left out: everything."""

    page: str | None = Field(None, description=_PAGE)
    campaign: int | None = Field(None, ge=1, lt=2**63, description=_CAMPAIGN)
    category: str | None = Field(None, description=_CATEGORY)
    why: str = Field(min_length=1, max_length=500)


class SwitchView(BaseModel):
    """A kill switch."""

    id: int
    page: str | None = Field(description="null: every page.")
    campaign: int | None
    category: str | None = Field(description="null: all.")
    actor: str
    why: str
    engaged_at: Instant
    released_at: Instant | None


class SwitchList(BaseModel):
    """The switches that are engaged."""

    items: list[SwitchView]


class TouchedCampaign(BaseModel):
    """A campaign that has something left to do."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    status: str


class RadiusView(BaseModel):
    """What a switch would stop."""

    exact: bool = Field(description="false: the database's estimates; there are too many to count in a moment.")
    messages: int = Field(description="All that would wait.")
    waiting: dict[str, dict[str, int]] = Field(description="State → lane → messages.")
    on_the_wire: int = Field(description="Their requests have begun: no switch stops them.")
    campaign_count: int
    campaigns: list[TouchedCampaign] = Field(description=f"The newest {radius.NAMED}.")


@router.post("", status_code=201)
def engage(new: NewSwitch, session: Db, actor: Actor, now: Now) -> SwitchView:
    """Stop everything, a page, a campaign, a category. In force once this answers; what is on the wire stays there."""
    new.check()
    scope = scope_of(session, new.page, new.campaign, new.category)
    return view(session, switches.engage(session, scope, actor=actor, why=new.why, now=now))


@router.get("")
def list_engaged(session: Db) -> SwitchList:
    """The switches that are engaged, oldest first."""
    return SwitchList(items=[view(session, each) for each in switches.engaged(session)])


@router.get("/radius")
def look_first(
    session: Db,
    page: Annotated[str | None, Query(max_length=128, description=_PAGE)] = None,
    campaign: Annotated[int | None, Query(ge=1, lt=2**63, description=_CAMPAIGN)] = None,
    category: Annotated[str | None, Query(max_length=32, description=_CATEGORY)] = None,
) -> RadiusView:
    """What a switch over this would stop, before it is engaged. Answers at once, whatever waits."""
    return radius_view(session, scope_of(session, page, campaign, category))


@router.delete("/{id}")
def release(
    switch: Annotated[int, Path(alias="id", ge=1, lt=2**31)],
    session: Db,
    actor: Actor,
    now: Now,
    after: BackgroundTasks,
) -> SwitchView:
    """Let messages go again; those that waited are decided anew."""
    released = switches.release(session, switch, actor=actor, now=now)
    after.add_task(ring, "deliver")
    return view(session, released)


def scope_of(session: Session, page: str | None, campaign: int | None, category: str | None) -> switches.Scope:
    """What is meant. Raises NotFound for a page or campaign that is not there, Invalid for a scope without sense."""
    scope = switches.Scope(
        page_id=get_page(session, page).id if page is not None else None,
        campaign_id=get_campaign(session, campaign).id if campaign is not None else None,
        category=category,
    )
    scope.check()
    return scope


def radius_view(session: Session, scope: switches.Scope) -> RadiusView:
    """What a switch over ``scope`` would stop, as it is shown."""
    found = radius.radius(session, page_id=scope.page_id, campaign_id=scope.campaign_id, category=scope.category)
    return RadiusView.model_validate(found, from_attributes=True)


def view(session: Session, switch: KillSwitch) -> SwitchView:
    """A switch as it is shown."""
    assert switch.id is not None  # a stored switch has its id
    page = session.get_one(Page, switch.page_id).external_id if switch.page_id is not None else None
    return SwitchView(
        id=switch.id,
        page=page,
        campaign=switch.campaign_id,
        category=switch.category,
        actor=switch.actor,
        why=switch.why,
        engaged_at=switch.engaged_at,
        released_at=switch.released_at,
    )
