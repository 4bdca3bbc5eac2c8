"""A template and a person make what is sent. Called for every message: no database, no parsing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from liquid.exceptions import LiquidError

from scheduler.content.liquid_environment import Attributes, compiled
from scheduler.content.locales import best_locale
from scheduler.content.variables import BY_EVENT
from scheduler.content.visible import shows_nothing
from scheduler.errors import Invalid

#: The platform takes texts of fewer than 2000 characters (Send API reference, ``text``).
LONGEST_TEXT = 1999
#: Root → its members without values, of all kinds of event.
_OF_EVENTS: dict[str, dict[str, object]] = {
    root: dict.fromkeys(members) for roots in BY_EVENT.values() for root, members in roots.items()
}


class CannotRender(Invalid):
    """this content cannot be sent to this person"""

    code = "cannot_render"


class TemplateLike(Protocol):
    """A row of ``template``."""

    @property
    def default_locale(self) -> str: ...  # noqa: D102 - a protocol's members are described by the class
    @property
    def bodies(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def utility_name(self) -> str | None: ...  # noqa: D102
    @property
    def utility_approved(self) -> bool: ...  # noqa: D102


class ContactLike(Protocol):
    """A row of ``contact``: what content may say of the person."""

    @property
    def name(self) -> str | None: ...  # noqa: D102
    @property
    def first_name(self) -> str | None: ...  # noqa: D102
    @property
    def locale(self) -> str | None: ...  # noqa: D102
    @property
    def attributes(self) -> dict[str, Any]: ...  # noqa: D102


class PageLike(Protocol):
    """A row of ``page``."""

    @property
    def name(self) -> str: ...  # noqa: D102


@dataclass(slots=True, kw_only=True)
class Rendered:
    """What goes out: a text, or an approved utility template with its named parameters; never both."""

    #: The locale of the body that was taken.
    locale: str
    text: str | None = None
    utility_name: str | None = None
    utility_parameters: dict[str, str] = field(default_factory=dict)


def render(template: TemplateLike, contact: ContactLike, page: PageLike, variables: Mapping[str, Any]) -> Rendered:
    """What ``template`` says to ``contact``; ``variables`` are those that the event adds (``{"order": {…}}``).

    Approved utility content goes as its utility template, whatever the ground. A known variable without a value
    renders empty. Raises CannotRender when nothing sendable comes out (empty, or over the platform's limit).
    """
    locale = choose_locale(template.bodies, contact.locale, template.default_locale)
    body = template.bodies[locale]
    names: dict[str, Any] = {
        "contact": {
            "name": contact.name,
            "first_name": contact.first_name,
            "locale": contact.locale,
            "attributes": Attributes(contact.attributes or {}),
        },
        "page": {"name": page.name},
        **variables,
    }
    # A known variable that the event did not fill renders empty.
    for root, members in _OF_EVENTS.items():
        names[root] = members | names.get(root, {})
    if template.utility_name is not None and template.utility_approved:
        parameters = {name: _filled(source, names, name) for name, source in body.get("parameters", {}).items()}
        return Rendered(locale=locale, utility_name=template.utility_name, utility_parameters=parameters)
    return Rendered(locale=locale, text=_filled(body["text"], names, "text"))


def choose_locale(bodies: Mapping[str, Any], wanted: str | None, default: str) -> str:
    """The body that a person of locale ``wanted`` reads best; ``default`` where they may read none of them."""
    if not wanted or wanted in bodies:
        return wanted or default
    return best_locale(tuple(bodies), wanted) or default


def _filled(source: str, names: Mapping[str, Any], place: str) -> str:
    try:
        text = compiled(source).render(**names).strip()
    except (LiquidError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # The others escape from python-liquid's filters when they are given odd numbers.
        raise CannotRender(
            str(error.args[0]) if isinstance(error, LiquidError) else "a filter cannot take that", field=place
        ) from error
    if shows_nothing(text):
        raise CannotRender("nothing is left to say when the variables are filled in", field=place)
    if len(text) > LONGEST_TEXT:
        raise CannotRender(f"{len(text)} characters, the platform takes {LONGEST_TEXT}", field=place)
    return text
