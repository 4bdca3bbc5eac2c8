"""What the platform told and could not be applied, over REST: for the person who has to look."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from scheduler.api.instants import Instant
from scheduler.api.sessions import Db
from scheduler.inbox.failures import list_failed_events
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/failed-events", tags=["inbox"])


class FailedEventView(BaseModel):
    """A platform event that is kept as it came, with the reason why it could not be applied."""

    id: int
    page: str | None = Field(description="null: it names no page of ours.")
    kind: str
    psid: str | None = Field(description="Whom it holds; null: it names nobody.")
    error: str
    received_at: Instant


class FailedEventList(BaseModel):
    """Failed events, newest first."""

    items: list[FailedEventView]
    next_cursor: str | None


@router.get("")
def list_some(
    session: Db,
    page: Annotated[str | None, Query(max_length=128, description="The platform's id of a page.")] = None,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> FailedEventList:
    """Events that could not be applied, newest first, of one page or of all."""
    page_id = get_page(session, page).id if page is not None else None
    found = list_failed_events(session, page_id=page_id, before=int(cursor) if cursor else None, limit=limit + 1)
    more = found[limit - 1]["id"] if len(found) > limit else None
    return FailedEventList(
        items=[FailedEventView.model_validate(each) for each in found[:limit]],
        next_cursor=str(more) if more is not None else None,
    )
