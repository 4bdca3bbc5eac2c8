"""Campaigns over REST: draft, preview, launch, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, TypeVar

from fastapi import APIRouter, BackgroundTasks, Path, Query
from pydantic import BaseModel, Field
from sqlmodel import Session, col, select

from scheduler.api.auth import Actor
from scheduler.api.heavy import HEAVY
from scheduler.api.instants import GivenInstant, Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.status import status
from scheduler.campaigns.tables import Campaign
from scheduler.content.tables import Template
from scheduler.doorbell import ring
from scheduler.outbox.priorities import HIGHEST, LOWEST
from scheduler.pages.registry import get_page
from scheduler.pages.tables import Page

router = APIRouter(tags=["campaigns"])

_Row = TypeVar("_Row", Template, Page)

CampaignInPath = Annotated[int, Path(alias="id", ge=1, lt=2**63)]


class NewCampaign(Body):
    """Who is to be told what, between when and when."""

    name: str = Field(min_length=1, max_length=200)
    template: str = Field(description="The name of one of the page's templates.")
    audience: str | Annotated[list[str], Field(max_length=1_000_000, fail_fast=True)] = Field(
        description='"everyone" on the page, or a list of psids.', examples=["everyone"]
    )
    not_before: GivenInstant | None = None
    expires_at: GivenInstant | None = Field(None, description="What has not gone out by then does not go out.")
    priority: int = Field(
        0,
        ge=LOWEST,
        le=HIGHEST,
        description="Its place among promotions: of one person's promotions the higher goes first, and a lower one "
        "that is only scheduled gives way.",
    )
    may_wait: bool = Field(
        True,
        description="Whether messages to people who cannot be written to yet (their window is closed, or their time "
        "zone is unknown) wait for them until `expires_at`, without one for 30 days from the launch; false: they are "
        "denied.",
    )


class CampaignView(BaseModel):
    """A campaign, and where its messages are."""

    id: int
    page: str
    name: str
    template: str
    template_version: int
    audience: str
    status: str
    not_before: Instant | None
    expires_at: Instant | None = Field(
        description="The launch of a campaign whose messages may wait sets it if it is null."
    )
    may_wait: bool = Field(
        description="What becomes of people who cannot be written to yet: true: their messages wait for them until "
        "`expires_at`; false: they are denied."
    )
    priority: int
    created_at: Instant
    launched_at: Instant | None
    planned_at: Instant | None
    exact: bool = Field(description="false: its messages are estimated from a sample, for there are many.")
    states: dict[str, int]
    reasons: dict[str, dict[str, int]] = Field(description="State → reason → messages.")
    waits_for: dict[str, int] = Field(
        description="Scheduled messages without an instant, by what they wait for: `inbound` (the person writes), "
        "`zone_evidence` (their time zone is known), `handback`, `resume`, `page_restored`."
    )


class CampaignList(BaseModel):
    """Campaigns, newest first."""

    items: list[CampaignView]
    next_cursor: str | None


class ReasonCounts(BaseModel):
    """Reason → people."""

    later: dict[str, int]
    waiting: dict[str, int]
    never: dict[str, int]


class HourCount(BaseModel):
    """Messages that policy permits first within an hour."""

    hour: Instant
    count: int


class SampleView(BaseModel):
    """Somebody, as an example."""

    psid: str
    verdict: str
    reason: str | None
    at: Instant | None
    after: list[str] = Field(description="Whose messages it comes after: campaign 3, event 12.")


#: Real seconds for which a preview looks through an audience.
_PREVIEW_PATIENCE = 10.0


class PreviewView(BaseModel):
    """What a launch at this instant would plan: `now` + `later` + `waiting` + `never` is the audience."""

    at: Instant
    complete: bool = Field(
        description="false: the audience is too large to be looked at whole in time; the figures are of a part of it."
    )
    now: int
    later: int
    waiting: int = Field(description="People for whom nobody knows when: see `waits_for`.")
    never: int
    waits_for: dict[str, int] = Field(
        description="What they wait for → people: `inbound` (they write), `zone_evidence` (their time zone is known), …"
    )
    waits_until: Instant | None = Field(description="When what still waits then runs out; null: it does not.")
    reasons: ReasonCounts
    after: dict[str, int] = Field(
        description="Whose scheduled messages stand before this campaign's, such as campaign 3 or follow-ups, "
        "so that it goes later or never → people."
    )
    by_hour: list[HourCount]
    samples: list[SampleView]


@router.post("/pages/{page}/campaigns", status_code=201)
def create(page: PageInPath, new: NewCampaign, session: Db, actor: Actor, now: Now) -> CampaignView:
    """Make a draft. Nothing is decided or sent before its launch."""
    new.check()
    given = {name: getattr(new, name) for name in NewCampaign.model_fields}
    campaign = registry.create_campaign(session, get_page(session, page), **given, actor=actor, now=now)
    return view(session, campaign)


@router.get("/campaigns")
def list_all(
    session: Db,
    page: Annotated[str | None, Query(max_length=128)] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CampaignList:
    """Campaigns, newest first, of one page or of all."""
    page_id = get_page(session, page).id if page is not None else None
    found = registry.list_campaigns(session, page_id=page_id, before=int(cursor) if cursor else None, limit=limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return CampaignList(items=views(session, found[:limit]), next_cursor=str(more) if more is not None else None)


@router.get("/campaigns/{id}")
def read(campaign: CampaignInPath, session: Db) -> CampaignView:
    """One campaign with its messages counted by state and reason."""
    return view(session, registry.get_campaign(session, campaign))


@router.post("/campaigns/{id}/preview", dependencies=[HEAVY])
def look_ahead(campaign: CampaignInPath, session: Db, now: Now) -> PreviewView:
    """What a launch now would come to: now, later, waiting, never, by reason. Nothing is stored.

    Messages that are scheduled for these people already count against caps and gaps where they are of no lower
    priority; `after` says whose.

    Of a large audience as many are looked at as ten seconds allow: `complete` is false then, and
    `duly campaign preview` looks at all.

    409 when it was launched already: `GET /campaigns/{id}` tells where its messages are.
    """
    found = registry.get_campaign(session, campaign)
    return preview_view(preview.preview(session, found, now, patience=_PREVIEW_PATIENCE))


@router.post("/campaigns/{id}/launch")
def launch(campaign: CampaignInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks) -> CampaignView:
    """Launch a draft, once; the answer says what becomes of people who cannot be written to yet (`may_wait`).

    409 when it was launched before, 422 when its schedule lets nobody get it any more.
    """
    return _step(lifecycle.launch, session, campaign, actor, now, after)


@router.post("/campaigns/{id}/pause")
def pause(campaign: CampaignInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks) -> CampaignView:
    """Hold what has not gone out."""
    return _step(lifecycle.pause, session, campaign, actor, now, after)


@router.post("/campaigns/{id}/resume")
def resume(campaign: CampaignInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks) -> CampaignView:
    """Go on after a pause; waiting messages are decided anew."""
    return _step(lifecycle.resume, session, campaign, actor, now, after)


@router.post("/campaigns/{id}/cancel")
def cancel(campaign: CampaignInPath, session: Db, actor: Actor, now: Now, after: BackgroundTasks) -> CampaignView:
    """Take back everything that has not been sent."""
    return _step(lifecycle.cancel, session, campaign, actor, now, after)


def _step(
    step: Callable[..., Campaign], session: Session, campaign: int, actor: str, now: int, after: BackgroundTasks
) -> CampaignView:
    changed = step(session, campaign, actor=actor, now=now)
    # Runs after the answer, hence after the commit.
    after.add_task(ring, "plan", "deliver")
    return view(session, changed)


def preview_view(seen: preview.Preview) -> PreviewView:
    """A preview as it is shown."""
    return PreviewView(
        at=seen.at,
        complete=seen.complete,
        now=seen.now,
        later=seen.later,
        waiting=seen.waiting,
        never=seen.never,
        waits_for=seen.waits_for,
        waits_until=seen.waits_until,
        reasons=ReasonCounts(later=seen.later_reasons, waiting=seen.waiting_reasons, never=seen.never_reasons),
        after=seen.after,
        by_hour=[HourCount(hour=hour, count=count) for hour, count in seen.by_hour.items()],
        samples=[SampleView.model_validate(sample, from_attributes=True) for sample in seen.samples],
    )


def view(session: Session, campaign: Campaign) -> CampaignView:
    """A campaign as it is shown."""
    return views(session, [campaign])[0]


def views(session: Session, campaigns: list[Campaign]) -> list[CampaignView]:
    """Campaigns as they are shown, their messages counted in one query."""
    counts = status(session, [campaign.id for campaign in campaigns if campaign.id is not None])
    templates = _by_id(session, Template, {campaign.template_id for campaign in campaigns})
    pages = _by_id(session, Page, {campaign.page_id for campaign in campaigns})
    views = []
    for campaign in campaigns:
        assert campaign.id is not None  # a stored campaign has its id
        template = templates[campaign.template_id]
        views.append(
            CampaignView(
                id=campaign.id,
                page=pages[campaign.page_id].external_id,
                name=campaign.name,
                template=template.name,
                template_version=template.version,
                audience=campaign.audience,
                status=campaign.status,
                not_before=campaign.not_before,
                expires_at=campaign.expires_at,
                priority=campaign.priority,
                may_wait=campaign.may_wait,
                created_at=campaign.created_at,
                launched_at=campaign.launched_at,
                planned_at=campaign.planned_at,
                exact=counts[campaign.id].exact,
                states=counts[campaign.id].states,
                reasons=counts[campaign.id].reasons,
                waits_for=counts[campaign.id].waits_for,
            )
        )
    return views


def _by_id(session: Session, table: type[_Row], ids: Collection[int]) -> dict[int, _Row]:
    """The rows with these ids, in one query however many campaigns are listed."""
    return {row.id: row for row in session.exec(select(table).where(col(table.id).in_(ids))) if row.id is not None}
