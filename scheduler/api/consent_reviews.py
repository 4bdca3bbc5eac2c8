"""Over REST: words that may have been an opt-out, for a person to judge; and what a page does about opt-outs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query
from pydantic import BaseModel, Field

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.messages import PageFilter
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.consent import review
from scheduler.consent.settings import Scope, Settings, change_settings, settings_of
from scheduler.doorbell import ring
from scheduler.pages.registry import get_page

router = APIRouter(tags=["consent"])

ReviewInPath = Annotated[int, Path(alias="id", ge=1, lt=2**63)]


class ReviewView(BaseModel):
    """Words that may have been an opt-out (or an opt-in, or a call for help)."""

    id: int
    page: str
    psid: str
    meaning: str
    phrase: str = Field(description="What was found in the words.")
    words: str | None = Field(description="All that they wrote.")
    event_id: int | None
    said_at: Instant
    suggested_at: Instant
    decided_at: Instant | None
    decision: str | None
    decided_by: str | None


class ReviewList(BaseModel):
    """Suggestions, newest first."""

    items: list[ReviewView]
    next_cursor: str | None


class Judgement(Body):
    """What a person made of it."""

    decision: review.Decision = Field(
        description="opt_out: they want no messages, as of when they said so. nothing: they meant something else."
    )


class ConsentSettings(Body):
    """What a page does about opt-outs."""

    confirmation_template: str | None = Field(
        None, min_length=1, max_length=64, description="A service template that confirms an opt-out; null: none is."
    )
    opt_out_scope: Scope = Field(
        "everything",
        description="What a STOP covers that names nothing: everything, or (law) at least what the law of the "
        "person's place says, and everything where that is not known.",
    )


@router.get("/consent/reviews")
def list_some(
    session: Db,
    page: PageFilter = None,
    decided: Annotated[bool, Query(description="Those that were judged, in place of those that wait.")] = False,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReviewList:
    """Words that wait to be judged, newest first. Promotional messages to whoever may have opted out wait with them."""
    found = review.list_reviews(
        session,
        page_id=get_page(session, page).id if page is not None else None,
        decided=decided,
        before=int(cursor) if cursor else None,
        limit=limit + 1,
    )
    more = found[limit - 1]["id"] if len(found) > limit else None
    return ReviewList(
        items=[ReviewView.model_validate(row) for row in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )


@router.post("/consent/reviews/{id}")
def judge(
    wanted: ReviewInPath, judgement: Judgement, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> ReviewView:
    """Say what they meant. What waited for it is decided anew."""
    judgement.check()
    review.decide(session, wanted, judgement.decision, actor=actor, now=now)
    after.add_task(ring, "deliver")
    return ReviewView.model_validate(review.read_review(session, wanted))


@router.get("/pages/{page}/consent-settings")
def settings(page: PageInPath, session: Db) -> ConsentSettings:
    """What the page does about opt-outs."""
    page_id = get_page(session, page).id
    assert page_id is not None  # a stored page has its id
    found = settings_of(session, page_id)
    return ConsentSettings(confirmation_template=found.confirmation_template, opt_out_scope=found.opt_out_scope)


@router.put("/pages/{page}/consent-settings")
def change(page: PageInPath, wanted: ConsentSettings, session: Db, actor: Actor, now: Now) -> ConsentSettings:
    """Set what the page does about opt-outs from now on."""
    wanted.check()
    page_id = get_page(session, page).id
    assert page_id is not None  # a stored page has its id
    given = Settings(confirmation_template=wanted.confirmation_template, opt_out_scope=wanted.opt_out_scope)
    change_settings(session, page_id, page, given, actor=actor, now=now)
    return settings(page, session)
