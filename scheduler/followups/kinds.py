"""The kinds of business event, and what each must tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.errors import Invalid
from scheduler.followups.interests import check_sku

BACK_IN_STOCK = "product.back_in_stock"
ORDER_SHIPPED = "order.shipped"

#: Kind → (required, optional) members of its data; all are texts.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    BACK_IN_STOCK: (("sku", "name"), ()),
    ORDER_SHIPPED: (("order", "psid"), ("carrier", "tracking")),
}
_LONGEST = 200


def check_kind(kind: str, *, field: str) -> str:
    """``kind`` if it is one. Raises Invalid."""
    if kind not in KINDS:
        raise Invalid(f"`{kind[:64]}` is not a kind of event", field=field, way_out=f"use {' or '.join(KINDS)}")
    return kind


def check_data(kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """What the event tells, checked. Raises Invalid naming the member, ``data.sku``."""
    required, optional = KINDS[kind]
    for member in data:
        if member not in (*required, *optional):
            raise Invalid(
                f"`{str(member)[:64]}` is not a part of {kind}",
                field=f"data.{str(member)[:64]}",
                way_out=f"it has {', '.join((*required, *optional))}",
            )
    checked = {}
    for member in (*required, *optional):
        value = data.get(member)
        if value is None and member in optional:
            continue
        if value is None:
            raise Invalid("is missing", field=f"data.{member}", way_out=f"{kind} needs {', '.join(required)}")
        if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or "\x00" in value:
            raise Invalid("is not a usable text", field=f"data.{member}", way_out=f"give 1 to {_LONGEST} characters")
        checked[member] = value.strip()
    if "sku" in checked:
        check_sku(checked["sku"], field="data.sku")
    return checked


def variables_of(kind: str, data: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What an event of ``kind`` adds to a template's variables."""
    if kind == BACK_IN_STOCK:
        return {"product": {"sku": data["sku"], "name": data["name"]}}
    order = {"number": data["order"]}
    return {"order": order | {member: data[member] for member in ("carrier", "tracking") if member in data}}
