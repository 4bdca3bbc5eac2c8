"""Templates over REST."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from scheduler.api.apart import TheApart
from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.content.bodies import Checked
from scheduler.content.foreign import foreign_writing
from scheduler.content.tables import Template
from scheduler.content.templates import get_template, list_templates, save_template
from scheduler.pages.registry import get_page

router = APIRouter(prefix="/pages/{page}/templates", tags=["templates"])


class NewTemplate(Body):
    """What is said, by locale, in Liquid. A name that exists gets its next version."""

    name: str = Field(examples=["back_in_stock"])
    category: Literal["promotional", "utility", "service"]
    topic: str | None = Field(None, description="What a person may opt out of alone.")
    default_locale: str = Field(description="The body for people in none of the other locales.", examples=["en"])
    bodies: dict[str, dict[str, Any]] = Field(
        description="Locale → text, and for a utility template its named parameters.",
        examples=[{"en": {"text": "Hi {{ contact.first_name | default: 'there' }}, {{ product.name }} is back."}}],
    )
    utility_name: str | None = Field(None, description="The name of the utility template on the platform.")
    utility_approved: bool = Field(
        False, description="The platform approved it. Until then messages have the standard window only."
    )


class TemplateView(BaseModel):
    """A template in one version."""

    id: int
    name: str
    version: int
    category: str
    topic: str | None
    default_locale: str
    bodies: dict[str, Any]
    utility_name: str | None
    utility_approved: bool
    created_at: Instant
    warnings: list[str] = Field(description="What people would see that nobody meant: other tools' placeholders, HTML.")


class TemplateList(BaseModel):
    """The newest version of each template."""

    items: list[TemplateView]
    next_cursor: str | None


def _checked(new: NewTemplate, apart: TheApart) -> Checked:
    """The bodies, read in the process apart. Before the transaction: no connection is held meanwhile."""
    new.check()
    done = apart.ask(
        "template", field="bodies", bodies=new.bodies, default_locale=new.default_locale, utility_name=new.utility_name
    )
    return Checked(done["bodies"], done["default_locale"])


@router.post("", status_code=201)
def save(
    page: PageInPath, new: NewTemplate, checked: Annotated[Checked, Depends(_checked)], session: Db, actor: Actor,
    now: Now,
) -> TemplateView:  # fmt: skip
    """Save a template. Everything in it is checked first: syntax, variables, lengths, tags."""
    found = get_page(session, page)
    assert found.id is not None  # a stored page has its id
    given = new.model_dump(include=set(NewTemplate.model_fields))
    return _view(save_template(session, found.id, **given, checked=checked, actor=actor, now=now))


@router.get("")
def list_newest(
    page: PageInPath,
    session: Db,
    cursor: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> TemplateList:
    """The page's templates by name, each in its newest version."""
    page_id = get_page(session, page).id
    assert page_id is not None  # a stored page has its id
    found = list_templates(session, page_id, after=cursor or "", limit=limit + 1)
    more = len(found) > limit
    return TemplateList(
        items=[_view(each) for each in found[:limit]], next_cursor=found[limit - 1].name if more else None
    )


@router.get("/{name}")
def read(page: PageInPath, name: str, session: Db) -> TemplateView:
    """One template in its newest version."""
    found = get_page(session, page)
    assert found.id is not None  # a stored page has its id
    return _view(get_template(session, found.id, name))


def _view(template: Template) -> TemplateView:
    known = {name: getattr(template, name) for name in TemplateView.model_fields if name != "warnings"}
    return TemplateView(**known, warnings=foreign_writing(template.bodies))
