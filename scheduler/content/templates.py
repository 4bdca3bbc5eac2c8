"""Templates: saved whole, checked whole, never changed. Saving a name again makes its next version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import Session, col, select

from scheduler.audit.record import record
from scheduler.content.liquid_source import check_source, refuse_tags, tag_refused
from scheduler.content.locales import normalize_locale, same_locale
from scheduler.content.tables import Template
from scheduler.content.try_out import try_out
from scheduler.content.variables import ALWAYS, BY_EVENT
from scheduler.content.visible import shows_nothing
from scheduler.errors import Invalid, NotFound

CATEGORIES = ("promotional", "utility", "service")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,63}")
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
    actor: str,
    now: int,
) -> Template:
    """Keep a template of the page; the same name again is its next version.

    ``bodies`` is locale → ``{"text": Liquid}``, for a utility template with ``{"parameters": {name: Liquid}}`` too.
    Raises Invalid naming the field: bad Liquid, an unknown variable, a message tag, a text over the platform's limit.
    """
    _check_frame(name, category, topic, utility_name, utility_approved)
    checked = _check_bodies(bodies, utility_name)
    default_locale = _default_of(checked, default_locale)
    template = Template(
        page_id=page_id,
        name=name,
        category=category,
        topic=topic,
        default_locale=default_locale,
        bodies=checked,
        utility_name=utility_name,
        utility_approved=utility_approved,
        created_at=now,
    )
    for locale, body in checked.items():
        try_out(locale, body, utility_name)
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


def list_templates(session: Session, page_id: int) -> list[Template]:
    """The newest version of each of the page's templates, by name."""
    return list(
        session.exec(
            select(Template)
            .where(Template.page_id == page_id)
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


def _default_of(bodies: Mapping[str, Any], given: str) -> str:
    default = normalize_locale(given, field="default_locale")
    if default not in bodies:
        raise Invalid(
            f"there is no body for `{default}`",
            field="default_locale",
            way_out=f"use one of {', '.join(sorted(bodies))[:200]}, or add that body",
        )
    return default


def _check_bodies(bodies: Mapping[str, Any], utility_name: str | None) -> dict[str, Any]:
    if not bodies:
        raise Invalid("there is no body", field="bodies", way_out='give one a locale, {"en": {"text": "…"}}')
    checked: dict[str, Any] = {}
    names: set[str] | None = None
    for given, body in bodies.items():
        field = f"bodies.{given[:32]}"
        locale = normalize_locale(given, field=field)
        before = next((each for each in checked if same_locale(each, locale)), None)
        if before is not None:
            raise Invalid(
                f"`{given[:32]}` and `{before}` are the same locale", field=field, way_out="leave one of them out"
            )
        checked[locale] = _check_body(body, field, utility_name)
        parameters = set(checked[locale].get("parameters", {}))
        if names is not None and parameters != names:
            raise Invalid(
                "its parameters are not those of the other locales",
                field=f"{field}.parameters",
                way_out="a utility template has the same named parameters in every locale",
            )
        names = parameters
    return checked


def _check_body(body: object, field: str, utility_name: str | None) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise Invalid("is not an object", field=field, way_out='write {"text": "…"}')
    for key, value in body.items():
        if key in ("tag", "message_tag"):
            raise tag_refused(value, field=f"{field}.{key}")
        if key not in ("text", "parameters"):
            raise Invalid(
                f"`{str(key)[:64]}` is not a part of a body",
                field=f"{field}.{str(key)[:64]}",
                way_out="a body has text and parameters",
            )
    source = body.get("text")
    if not isinstance(source, str) or shows_nothing(source):
        raise Invalid("there is no text", field=f"{field}.text", way_out="write what is to be said")
    check_source(source, field=f"{field}.text")
    checked: dict[str, Any] = {"text": source}
    parameters = body.get("parameters")
    if parameters is None:
        return checked
    if utility_name is None:
        raise Invalid(
            "only a utility template has parameters",
            field=f"{field}.parameters",
            way_out="give utility_name too, or put the variables into the text",
        )
    if not isinstance(parameters, Mapping):
        raise Invalid("is not an object", field=f"{field}.parameters", way_out='write {"name": "Liquid"}')
    for name, value in parameters.items():
        place = f"{field}.parameters.{str(name)[:64]}"
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            raise Invalid("is not a parameter's name", field=place, way_out="use lower case letters, digits and _")
        if not isinstance(value, str):
            raise Invalid("is not a text", field=place, way_out="write Liquid, {{ order.number }}, say")
        check_source(value, field=place)
    checked["parameters"] = dict(parameters)
    return checked
