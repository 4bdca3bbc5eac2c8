"""What a shop notes about people: names and typed values, for templates.

The types are those of JSON (text, number, yes/no, null), dates and instants in ISO 8601, and lists of texts. A text
that looks like a date or an instant must be one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from json import dumps
from math import isfinite
from typing import Any, Literal

from scheduler.errors import Invalid

Type = Literal["string", "number", "boolean", "date", "datetime", "list", "null"]

MAX_ATTRIBUTES = 50
MAX_NAME = 64
MAX_TEXT = 500
MAX_ITEMS = 50
#: Bytes of all of them together, as JSON.
MAX_BYTES = 16_384
#: The whole numbers that every reader of JSON reads alike.
_MAX_INTEGER = 2**53 - 1

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?")


def check_attributes(value: object, *, field: str = "attributes") -> dict[str, Any]:
    """``value`` as attributes; None is none of them. Raises Invalid naming the attribute."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Invalid("is not an object", field=field, way_out='give names and values, like {"tier": "gold"}')
    if len(value) > MAX_ATTRIBUTES:
        raise Invalid(f"has {len(value)} entries", field=field, way_out=f"use {MAX_ATTRIBUTES} at most")
    for name, each in value.items():
        _check_name(name, field)
        _check_value(each, f"{field}.{name}")
    size = len(dumps(dict(value), ensure_ascii=False).encode())
    if size > MAX_BYTES:
        raise Invalid(f"takes {size} bytes as JSON", field=field, way_out=f"use {MAX_BYTES} at most, over all of them")
    return dict(value)


def patched(present: Mapping[str, Any], patch: object, *, field: str = "attributes") -> dict[str, Any]:
    """``present`` with a merge patch (RFC 7386) applied: null removes a name, other values are set.

    Raises Invalid naming the attribute, also where the result would be too much.
    """
    if patch is None:
        return {}
    if not isinstance(patch, Mapping):
        raise Invalid("is not an object", field=field, way_out='give names and values, like {"tier": "gold"}')
    kept = {name: value for name, value in present.items() if name not in patch}
    return check_attributes(kept | {name: value for name, value in patch.items() if value is not None}, field=field)


def type_of(value: object) -> Type:
    """The type of a checked value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, (list, tuple)):
        return "list"
    text = str(value)
    if _DATE.fullmatch(text):
        return "date"
    return "datetime" if _DATETIME.fullmatch(text) else "string"


def _check_name(name: object, field: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or len(name) > MAX_NAME:
        raise Invalid(
            "has a name that templates cannot use",
            field=f"{field}.{str(name)[:MAX_NAME]}",
            way_out=f"use letters, digits and underscores, up to {MAX_NAME}",
        )


def _check_value(value: object, place: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, (int, float)):
        if not isfinite(value) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
            raise Invalid(
                "is not a number that JSON keeps", field=place, way_out=f"give one up to {_MAX_INTEGER}, or text"
            )
        return
    if isinstance(value, str):
        _check_text(value, place)
        _check_instant(value, place)
        return
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise Invalid(
            "is neither text, number, yes/no, a date nor a list of texts",
            field=place,
            way_out=f"give a plain value, or a list of up to {MAX_ITEMS} texts",
        )
    if len(value) > MAX_ITEMS:
        raise Invalid(f"has {len(value)} items", field=place, way_out=f"use {MAX_ITEMS} at most")
    for index, item in enumerate(value):
        _check_text(item, f"{place}.{index}")


def _check_text(value: str, place: str) -> None:
    if len(value) > MAX_TEXT:
        raise Invalid(f"has {len(value)} characters", field=place, way_out=f"use {MAX_TEXT} at most")
    if not storable(value):
        raise Invalid(
            "holds a character that cannot be stored", field=place, way_out="remove NUL and halves of surrogate pairs"
        )


def _check_instant(value: str, place: str) -> None:
    if _DATE.fullmatch(value):
        try:
            date.fromisoformat(value)
        except ValueError:
            raise Invalid("is a day that no month has", field=place, way_out="give one like 2026-03-28") from None
    elif (found := _DATETIME.fullmatch(value)) is not None:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise Invalid("is not an instant", field=place, way_out="give one like 2026-03-28T08:00:00Z") from None
        if found[3] is None:
            raise Invalid("does not say in which zone", field=place, way_out="end it with Z or an offset like +02:00")


def storable(value: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no half of a surrogate pair."""
    return "\x00" not in value and not any(0xD800 <= ord(character) <= 0xDFFF for character in value)
