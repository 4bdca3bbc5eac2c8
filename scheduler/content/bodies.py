"""A template's bodies, checked whole: their shape, their Liquid, and that something sendable comes out of each.

Nothing here reads the database: it runs in a process apart too, which may be killed (``scheduler/api/apart.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.content.liquid_source import check_source, tag_refused
from scheduler.content.locales import normalize_locale, same_locale
from scheduler.content.try_out import try_out
from scheduler.content.visible import shows_nothing
from scheduler.errors import Invalid

#: Bodies of a template, parameters of each, and characters of all their sources together.
MOST_BODIES = 100
MOST_PARAMETERS = 50
LONGEST_TOGETHER = 100_000

_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Checked:
    """Bodies that were checked, and tried on somebody."""

    #: Locale → ``{"text": Liquid}``, for a utility template with ``{"parameters": {name: Liquid}}`` too.
    bodies: dict[str, Any]
    default_locale: str


def check_bodies(bodies: Mapping[str, Any], default_locale: str, utility_name: str | None) -> Checked:
    """The bodies with their locales in one spelling. Raises Invalid naming the field and the place in it."""
    checked = _check_bodies(bodies, utility_name)
    default = _default_of(checked, default_locale)
    for locale, body in checked.items():
        try_out(locale, body, utility_name)
    return Checked(checked, default)


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
    if len(bodies) > MOST_BODIES:
        raise Invalid(f"{len(bodies)} bodies are too many", field="bodies", way_out=f"use {MOST_BODIES} at most")
    if _characters(bodies) > LONGEST_TOGETHER:
        raise Invalid(
            f"the bodies have more than {LONGEST_TOGETHER} characters together", field="bodies",
            way_out="a message is short: take out what is not needed",
        )  # fmt: skip
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
    if len(parameters) > MOST_PARAMETERS:
        raise Invalid(
            f"{len(parameters)} parameters are too many", field=f"{field}.parameters",
            way_out=f"use {MOST_PARAMETERS} at most",
        )  # fmt: skip
    for name, value in parameters.items():
        place = f"{field}.parameters.{str(name)[:64]}"
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            raise Invalid("is not a parameter's name", field=place, way_out="use lower case letters, digits and _")
        if not isinstance(value, str):
            raise Invalid("is not a text", field=place, way_out="write Liquid, {{ order.number }}, say")
        check_source(value, field=place)
    checked["parameters"] = dict(parameters)
    return checked


def _characters(bodies: Mapping[str, Any]) -> int:
    found = 0
    for body in bodies.values():
        if isinstance(body, Mapping):
            parameters = body.get("parameters")
            texts = [body.get("text"), *(parameters.values() if isinstance(parameters, Mapping) else ())]
            found += sum(len(text) for text in texts if isinstance(text, str))
    return found
