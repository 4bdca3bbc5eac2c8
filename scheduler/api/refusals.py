"""Request bodies that say more than a schema can when they are refused: a message tag is explained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from scheduler.content.liquid_source import tag_refused
from scheduler.errors import Invalid

_TAGS = ("tag", "message_tag")


class Body(BaseModel):
    """A request's body. A route calls ``check`` first thing: unknown members reach it instead of an error."""

    # Strict: 1 is not true, and "5" is not 5.
    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra={"additionalProperties": False})

    def check(self) -> None:
        """Raise Invalid, by field, for any member that is not a field and for text that is not valid Unicode.

        A message tag is refused with the reason that Duly sends none.
        """
        given = {name: getattr(self, name) for name in type(self).model_fields} | (self.model_extra or {})
        _refuse_broken_text(given)
        for name, value in (self.model_extra or {}).items():
            raise _refusal(type(self), name, value)


def _refuse_broken_text(given: Mapping[str, Any]) -> None:
    # JSON can escape half a surrogate pair; nothing can store or send that. A loop: what is nested deeply is data too.
    waiting: list[tuple[str, Any]] = [("", given)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, Mapping):
            for key, member in value.items():
                inner = f"{place}.{key}" if place else str(key)
                waiting += ((inner, str(key)), (inner, member))
        elif isinstance(value, list):
            waiting += [(place, member) for member in value]
        elif isinstance(value, str) and not _is_unicode(value):
            raise Invalid(
                "is not valid Unicode",
                field=place.encode("ascii", "backslashreplace").decode()[:200],
                way_out="send whole characters, not half of a surrogate pair",
            )


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refusal(model: type[BaseModel], name: str, value: Any) -> Invalid:
    if name in _TAGS or (name == "messaging_type" and value == "MESSAGE_TAG"):
        return tag_refused(value, field=name)
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    return Invalid(
        f"`{name[:64]}` is not a field of this",
        field=name[:64],
        way_out=f"did you mean {near[0]}?" if near else f"it has {', '.join(model.model_fields)}",
    )
