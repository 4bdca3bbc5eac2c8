"""Templates: saved whole, checked whole, never changed. Saving a name again makes its next version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import Session, col, select

from scheduler.audit.record import record
from scheduler.content.bodies import Checked, check_bodies
from scheduler.content.liquid_source import check_source, refuse_tags
from scheduler.content.tables import Template
from scheduler.content.variables import ALWAYS, BY_EVENT
from scheduler.errors import Invalid, NotFound

CATEGORIES = ("promotional", "utility", "service")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LOCK_PAGE = text("SELECT id FROM page WHERE id = :id FOR NO KEY UPDATE")


def save_template(
    session: Session,
    page_id: int,
    *,
    name: str,
    category: str,
    bodies: Mapping[str, Any],
    default_locale: str,
    topic: str | None = None,
    utility_name: str | None = None,
    utility_approved: bool = False,
    checked: Checked | None = None,
    actor: str,
    now: int,
) -> Template:
    """Keep a template of the page; the same name again is its next version.

    ``bodies`` is locale → ``{"text": Liquid}``, for a utility template with ``{"parameters": {name: Liquid}}`` too.
    ``checked`` is what ``check_bodies`` made of them, where that was done already. Raises Invalid naming the field:
    bad Liquid, an unknown variable, a message tag, a text over the platform's limit.
    """
    _check_frame(name, category, topic, utility_name, utility_approved)
    if checked is None:
        checked = check_bodies(bodies, default_locale, utility_name)
    template = Template(
        page_id=page_id,
        name=name,
        category=category,
        topic=topic,
        default_locale=checked.default_locale,
        bodies=checked.bodies,
        utility_name=utility_name,
        utility_approved=utility_approved,
        created_at=now,
    )
    session.flush()
    session.connection().execute(_LOCK_PAGE, {"id": page_id})
    newest = session.exec(
        select(func.max(Template.version)).where(Template.page_id == page_id, Template.name == name)
    ).one()
    template.version = (newest or 0) + 1
    session.add(template)
    session.flush()
    record(
        session,
        actor=actor,
        action="template.save",
        subject=f"template:{template.id}",
        detail={"name": name, "version": template.version, "category": category},
        now=now,
    )
    return template


def get_template(session: Session, page_id: int, name: str, *, field: str = "template") -> Template:
    """The newest version of the page's template ``name``. Raises NotFound."""
    found = None
    if "\x00" not in name:
        found = session.exec(
            select(Template)
            .where(Template.page_id == page_id, Template.name == name)
            .order_by(col(Template.version).desc())
            .limit(1)
        ).first()
    if found is None:
        raise NotFound(
            f"the page has no template `{name[:64]}`", field=field, way_out="save it first: docs/api.md, A template"
        )
    return found


def list_templates(session: Session, page_id: int, *, after: str = "", limit: int | None = None) -> list[Template]:
    """The newest version of each of the page's templates, by name: those behind the name ``after``."""
    return list(
        session.exec(
            select(Template)
            .where(Template.page_id == page_id, Template.name > after)
            .limit(limit)
            .ext(distinct_on(col(Template.name)))
            .order_by(col(Template.name), col(Template.version).desc())
        ).all()
    )


def roots_named(template: Template) -> frozenset[str]:
    """The roots (``contact``, ``product``, …) that a saved template names anywhere."""
    found: set[str] = set()
    for locale, body in template.bodies.items():
        for source in (body["text"], *body.get("parameters", {}).values()):
            found |= check_source(source, field=locale)
    return frozenset(found)


def require_filled(template: Template, kind: str | None, *, field: str) -> None:
    """Raise Invalid when the template names what nothing fills: ``kind`` is the event's, None for a campaign."""
    filled = set(ALWAYS) | set(BY_EVENT.get(kind, {}) if kind else {})
    for root in sorted(roots_named(template) - filled):
        needed = next(kind for kind, roots in BY_EVENT.items() if root in roots)
        raise Invalid(
            f"template `{template.name}` names {root}, which only the event {needed} fills",
            field=field,
            way_out=f"use it in the recipe of {needed}, or choose another template",
        )


def _check_frame(name: str, category: str, topic: str | None, utility_name: str | None, utility_approved: bool) -> None:
    for field, value in (("name", name), ("topic", topic), ("utility_name", utility_name)):
        if value is None:
            continue
        refuse_tags(value, field=field)
        if not _NAME.fullmatch(value):
            raise Invalid(
                f"`{value[:64]}` cannot be used here",
                field=field,
                way_out="use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
            )
    if category not in CATEGORIES:
        refuse_tags(category, field="category")
        raise Invalid(
            f"`{category[:64]}` is not a category", field="category", way_out=f"use one of {', '.join(CATEGORIES)}"
        )
    if utility_name is not None and category != "utility":
        raise Invalid(
            f"{category} content cannot go as a utility template",
            field="utility_name",
            way_out="set category to utility if it is news of an order, an account or an event; else leave this out",
        )
    if utility_approved and utility_name is None:
        raise Invalid(
            "nothing is named that the platform could have approved",
            field="utility_approved",
            way_out="give utility_name, the approved template's name on the platform",
        )
