"""Which template a page sends when something happens in the shop."""

from __future__ import annotations

from sqlmodel import Session, select

from scheduler.audit.record import record
from scheduler.content.templates import get_template, require_filled
from scheduler.errors import Invalid, NotFound
from scheduler.followups.kinds import KINDS, check_kind
from scheduler.followups.tables import Recipe
from scheduler.pages.tables import Page

DEFAULT_HOURS = 72
#: Permitted times end after 30 days in any case.
LONGEST_HOURS = 30 * 24


def set_recipe(
    session: Session,
    page: Page,
    kind: str,
    *,
    template: str,
    expires_after_hours: int = DEFAULT_HOURS,
    actor: str,
    now: int,
) -> Recipe:
    """Send ``template`` (the page's newest of that name) when an event of ``kind`` comes; replaces what was set.

    A message is worth sending for ``expires_after_hours`` after the event. Raises Invalid naming the field.
    """
    assert page.id is not None  # a stored page has its id
    check_kind(kind, field="kind")
    if not 1 <= expires_after_hours <= LONGEST_HOURS:
        raise Invalid(
            f"{expires_after_hours} hours are not possible",
            field="expires_after_hours",
            way_out=f"give 1 to {LONGEST_HOURS}",
        )
    try:
        content = get_template(session, page.id, template)
    except NotFound as error:
        raise Invalid(error.message, field="template", way_out=error.way_out) from error
    require_filled(content, kind, field="template")
    assert content.id is not None  # a stored template has its id
    recipe = Recipe(page_id=page.id, kind=kind, template_id=content.id, expires_after=expires_after_hours * 3600)
    recipe = session.merge(recipe)
    record(
        session,
        actor=actor,
        action="recipe.set",
        subject=f"page:{page.external_id}",
        detail={"kind": kind, "template": template, "version": content.version, "hours": expires_after_hours},
        now=now,
    )
    session.flush()
    return recipe


def get_recipe(session: Session, page: Page, kind: str) -> Recipe:
    """The page's recipe for ``kind``. Raises NotFound."""
    assert page.id is not None  # a stored page has its id
    found = session.get(Recipe, (page.id, kind)) if kind in KINDS else None
    if found is None:
        raise NotFound(
            f"the page has no recipe for `{kind[:64]}`",
            field="kind",
            way_out="give the kind of event a template first: docs/api.md, Follow-ups",
        )
    return found


def list_recipes(session: Session, page_id: int) -> list[Recipe]:
    """The page's recipes, by kind."""
    return list(session.exec(select(Recipe).where(Recipe.page_id == page_id).order_by(Recipe.kind)).all())
