"""Request bodies that say more than a schema can when they are refused: a message tag is explained."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict

from scheduler.content.liquid_source import tag_refused
from scheduler.errors import Invalid

_TAGS = ("tag", "message_tag")


class Body(BaseModel):
    """A request's body. ``refuse_unknown`` must be called first thing: unknown members reach it instead of an error."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    def refuse_unknown(self) -> None:
        """Raise Invalid for any member that is not a field, with the reason Duly sends no tags where it is one."""
        for name, value in (self.model_extra or {}).items():
            raise _refusal(type(self), name, value)


def _refusal(model: type[BaseModel], name: str, value: Any) -> Invalid:
    if name in _TAGS or (name == "messaging_type" and value == "MESSAGE_TAG"):
        return tag_refused(value, field=name)
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    return Invalid(
        f"`{name[:64]}` is not a field of this",
        field=name[:64],
        way_out=f"did you mean {near[0]}?" if near else f"it has {', '.join(model.model_fields)}",
    )
