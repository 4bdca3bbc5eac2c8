"""A body is tried before it is saved: on somebody known well, and on somebody of whom nothing is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scheduler.content.render import LONGEST_TEXT, CannotRender, render
from scheduler.content.variables import ALWAYS, SAMPLE
from scheduler.errors import Invalid


@dataclass(slots=True)
class _Somebody:
    """Whom a template is tried on before it is saved."""

    locale: str
    name: str | None = None
    first_name: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    """One body of an unsaved template, as a text or as a utility template."""

    default_locale: str
    bodies: dict[str, Any]
    utility_name: str | None
    utility_approved: bool


@dataclass(slots=True)
class _Shop:
    name: str


def try_out(locale: str, body: dict[str, Any], utility_name: str | None) -> None:
    """Render a body for somebody of whom everything is known, and for somebody of whom nothing is.

    Raises Invalid where nothing sendable comes out of either.
    """
    shop = _Shop(str(SAMPLE["page"]["name"]))
    events = {root: values for root, values in SAMPLE.items() if root not in ALWAYS}
    known = SAMPLE["contact"]
    people = (
        ("", _Somebody(locale, str(known["name"]), str(known["first_name"]))),
        (" for a person of whom nothing is known", _Somebody(locale)),
    )
    for as_utility in (False, True) if utility_name is not None else (False,):
        draft = _Draft(locale, {locale: body}, utility_name, as_utility)
        for whom, person in people:
            try:
                render(draft, person, shop, events)
            except CannotRender as error:
                place = f"bodies.{locale}." + (f"parameters.{error.field}" if as_utility else "text")
                raise Invalid(
                    f"{error.message}{whom}",
                    field=place,
                    way_out="give variables a default, {{ contact.first_name | default: 'there' }}, "
                    f"and keep texts to {LONGEST_TEXT} characters",
                ) from error
