"""Kill switches over REST."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path
from pydantic import BaseModel, Field
from sqlmodel import Session

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.doorbell import ring
from scheduler.governance import switches
from scheduler.governance.tables import KillSwitch
from scheduler.pages.registry import get_page
from scheduler.pages.tables import Page

router = APIRouter(prefix="/kill-switch", tags=["governance"])


class NewSwitch(Body):
    """What stops, and why."""

    page: str | None = Field(None, description="The platform's id of a page; left out: every page.")
    why: str = Field(min_length=1, max_length=500)


class SwitchView(BaseModel):
    """A kill switch."""

    id: int
    page: str | None = Field(description="null: every page.")
    actor: str
    why: str
    engaged_at: Instant
    released_at: Instant | None


class SwitchList(BaseModel):
    """The switches that are engaged."""

    items: list[SwitchView]


@router.post("", status_code=201)
def engage(new: NewSwitch, session: Db, actor: Actor, now: Now) -> SwitchView:
    """Stop a page, or everything. In force once this answers; what is on the wire stays on the wire."""
    new.check()
    page_id = get_page(session, new.page).id if new.page is not None else None
    return _view(session, switches.engage(session, page_id, actor=actor, why=new.why, now=now))


@router.get("")
def list_engaged(session: Db) -> SwitchList:
    """The switches that are engaged, oldest first."""
    return SwitchList(items=[_view(session, each) for each in switches.engaged(session)])


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
    return _view(session, released)


def _view(session: Session, switch: KillSwitch) -> SwitchView:
    assert switch.id is not None  # a stored switch has its id
    page = session.get_one(Page, switch.page_id).external_id if switch.page_id is not None else None
    return SwitchView(
        id=switch.id,
        page=page,
        actor=switch.actor,
        why=switch.why,
        engaged_at=switch.engaged_at,
        released_at=switch.released_at,
    )
