"""Pages over REST: register, read, change."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.sessions import Db
from scheduler.pages import changes, registry, stops
from scheduler.pages.tables import Page
from scheduler.settings import get_settings

router = APIRouter(tags=["pages"])

#: Ids of the platform: digits today, never anything that an address could not name: no slash, no space, no `..`.
PlatformId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}$")]
Secret = Annotated[
    str, Field(min_length=1, max_length=2000, pattern=r"^[\x21-\x7e]+$", json_schema_extra={"writeOnly": True})
]
PageInPath = Annotated[str, Path(alias="page", description="The platform's id of the page.", max_length=128)]


def _no_number(value: object) -> object:
    # To Python 0 equals false.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError("must be false, or left out")  # noqa: TRY004 - what pydantic makes an error of the field
    return value


OnlyFalse = Annotated[Literal[False] | None, BeforeValidator(_no_number)]


class NewPage(BaseModel):
    """What a page is registered with. Secrets are sealed and never given out again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    external_id: PlatformId = Field(description="The platform's id of the page.")
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")
    token: Secret = Field(description="The page access token.")
    app_external_id: PlatformId = Field(description="The platform's id of the app that signs the page's webhooks.")
    app_secret: Secret
    verify_token: Secret
    mode: Literal["test", "live"] = Field("test", description="test sends to the allow-list only.")
    rate: int | None = Field(None, ge=1, le=registry.HIGHEST_RATE, description="Messages a second.")


class Marketing(BaseModel):
    """What paid marketing messages go through."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ad_account_id: str | None = Field(pattern=r"^\d{1,32}$", description="Without `act_`; null ends it, both together.")
    message_campaign_id: str | None = Field(pattern=r"^\d{1,32}$", description="A message campaign in it.")


class PageChanges(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    mode: Literal["test", "live"] | None = None
    rate: int | None = Field(None, ge=1, le=registry.HIGHEST_RATE)
    token: Secret | None = Field(None, description="A new page access token; a stopped page sends again.")
    allow: list[PlatformId] = Field(
        default_factory=list, max_length=10_000, fail_fast=True, description="Add to the allow-list."
    )
    disallow: list[PlatformId] = Field(
        default_factory=list, max_length=10_000, fail_fast=True, description="Take off the allow-list."
    )
    stopped: OnlyFalse = Field(None, description="false lets a stopped page send again.")
    throttled: OnlyFalse = Field(
        None, description="false ends the wait that the platform asked for; where its limit still holds, it asks again."
    )
    marketing: Marketing | None = Field(None, description="Marketing tokens give ground only where this is set.")


class PageView(BaseModel):
    """A page."""

    external_id: str
    name: str
    channel: str
    mode: str
    rate: int
    ad_account_id: str | None
    message_campaign_id: str | None
    stopped_reason: str | None
    stopped_at: Instant | None
    created_at: Instant
    allowed: list[str] | None = Field(None, description="The allow-list; only when one page is asked for.")


class PageList(BaseModel):
    """All pages."""

    items: list[PageView]


@router.post("/pages", status_code=201)
def add(new: NewPage, session: Db, actor: Actor, now: Now) -> PageView:
    """Register a page. The built-in policy `default` is in force for it from now on."""
    given = new.model_dump()
    given["rate"] = given["rate"] or get_settings().default_page_rate
    return view(registry.add_page(session, **given, actor=actor, now=now))


@router.get("/pages")
def list_all(session: Db) -> PageList:
    """All pages, oldest first."""
    return PageList(items=[view(page) for page in registry.list_pages(session)])


@router.get("/pages/{page}")
def read(page: PageInPath, session: Db) -> PageView:
    """One page with its allow-list."""
    found = registry.get_page(session, page)
    return view(found, allowed=changes.allowed(session, found))


@router.patch("/pages/{page}")
def change(page: PageInPath, wanted: PageChanges, session: Db, actor: Actor, now: Now) -> PageView:
    """Change the mode, the rate, the token, what paid messages go through, the allow-list; end a stop or a wait."""
    found = registry.get_page(session, page)
    if wanted.disallow:
        changes.disallow(session, found, wanted.disallow, actor=actor, now=now)
    if wanted.allow:
        changes.allow(session, found, wanted.allow, actor=actor, now=now)
    if wanted.mode is not None and wanted.mode != found.mode:
        changes.set_mode(session, found, wanted.mode, actor=actor, now=now)
    if wanted.rate is not None and wanted.rate != found.rate:
        changes.set_rate(session, found, wanted.rate, actor=actor, now=now)
    if wanted.token is not None:
        changes.set_token(session, found, wanted.token, actor=actor, now=now)
    if wanted.marketing is not None:
        changes.set_marketing(session, found, **wanted.marketing.model_dump(), actor=actor, now=now)
    if wanted.stopped is False:
        assert found.id is not None  # a stored page has its id
        stops.restore_page(session, found.id, actor=actor, now=now)
    if wanted.throttled is False:
        changes.end_wait(session, found, actor=actor, now=now)
    session.flush()
    session.refresh(found)
    return view(found, allowed=changes.allowed(session, found))


def view(page: Page, *, allowed: list[str] | None = None) -> PageView:
    """What may be shown of a page."""
    return PageView(
        external_id=page.external_id,
        name=page.name,
        channel=page.channel,
        mode=page.mode,
        rate=page.rate,
        ad_account_id=page.ad_account_id,
        message_campaign_id=page.message_campaign_id,
        stopped_reason=page.stopped_reason,
        stopped_at=page.stopped_at,
        created_at=page.created_at,
        allowed=allowed,
    )
