"""What happens in the shop, over REST: recipes, and the events that they turn into messages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Response
from pydantic import BaseModel, Field
from sqlmodel import Session

from scheduler.api.auth import Actor
from scheduler.api.instants import GivenInstant, Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.content.tables import Template
from scheduler.doorbell import ring
from scheduler.followups import recipes
from scheduler.followups.events import receive_event
from scheduler.followups.kinds import is_personal
from scheduler.followups.tables import Recipe
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/pages/{page}", tags=["events"])


class RecipeSettings(Body):
    """Which template goes out, and how long that makes sense."""

    template: str
    expires_after_hours: int = recipes.DEFAULT_HOURS


class RecipeView(BaseModel):
    """A recipe of a page."""

    kind: str
    template: str
    template_version: int
    expires_after_hours: int


class RecipeList(BaseModel):
    """A page's recipes."""

    items: list[RecipeView]


class NewEvent(Body):
    """Something that happened in the shop."""

    kind: str = Field(examples=["product.back_in_stock"])
    key: str = Field(
        description="The shop's own name for this event: telling it twice is harmless, using it for another is refused."
    )
    occurred_at: GivenInstant | None = Field(None, description="When it happened; now, if left out.")
    data: dict[str, Any] = Field(
        description=(
            "product.back_in_stock: sku, name. order.shipped: order, and carrier and tracking if known. order.placed, "
            "order.delivered: order. product.viewed, product.carted, product.bought: sku, and name if known. All but "
            "the first name a person by one of psid, crm_id, phone and email."
        ),
        examples=[{"sku": "red-shoe-42", "name": "Red shoe, 42"}, {"order": "100001", "crm_id": "C-77"}],
    )


class EventView(BaseModel):
    """An event as Duly keeps it."""

    id: int
    kind: str
    key: str
    data: dict[str, Any]
    occurred_at: Instant
    received_at: Instant
    planned_at: Instant | None = Field(description="When its messages were all planned.")
    matched: int | None = Field(
        description="How many of the people it names are known. 0: it is kept, and taken up when an identity of a "
        "contact is linked that names them. null: it names nobody."
    )


@router.put("/recipes/{kind}")
def set_recipe(
    page: PageInPath, kind: str, settings: RecipeSettings, session: Db, actor: Actor, now: Now
) -> RecipeView:
    """Say which template goes out when an event of this kind comes."""
    settings.check()
    recipe = recipes.set_recipe(
        session,
        get_page(session, page),
        kind,
        template=settings.template,
        expires_after_hours=settings.expires_after_hours,
        actor=actor,
        now=now,
    )
    return _recipe(session, recipe)


@router.get("/recipes")
def list_recipes(page: PageInPath, session: Db) -> RecipeList:
    """The page's recipes."""
    found = get_page(session, page)
    assert found.id is not None  # a stored page has its id
    return RecipeList(items=[_recipe(session, each) for each in recipes.list_recipes(session, found.id)])


@router.post("/events", status_code=202, responses={200: {"description": "It was known already."}})
def receive(
    page: PageInPath,
    new: NewEvent,
    response: Response,
    session: Db,
    actor: Actor,
    now: Now,
    after: BackgroundTasks,
) -> EventView:
    """Tell what happened. 202 for a new event, 200 with the first one when it was told before.

    409 when the key named another event.

    A telephone number or an address is not kept, only its hash.
    """
    new.check()
    event, fresh = receive_event(
        session,
        get_page(session, page),
        kind=new.kind,
        key=new.key,
        data=new.data,
        occurred_at=new.occurred_at,
        actor=actor,
        now=now,
    )
    if fresh:
        # Runs after the answer, hence after the commit.
        after.add_task(ring, "plan")
    else:
        response.status_code = 200
    assert event.id is not None  # a stored event has its id
    return EventView(
        id=event.id,
        kind=event.kind,
        key=event.key,
        data=event.body,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        planned_at=event.planned_at,
        matched=(1 if event.contact_id is not None else 0) if is_personal(event.kind) else None,
    )


def _recipe(session: Session, recipe: Recipe) -> RecipeView:
    template = session.get_one(Template, recipe.template_id)
    return RecipeView(
        kind=recipe.kind,
        template=template.name,
        template_version=template.version,
        expires_after_hours=recipe.expires_after // 3600,
    )
