"""The kinds of business event, and what each must tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.contacts.psids import check_psid
from scheduler.errors import Invalid
from scheduler.facts.event_kinds import BACK_IN_STOCK
from scheduler.followups.interests import check_sku

ORDER_SHIPPED = "order.shipped"

#: Kind → (required, optional) members of its data; all are texts.
Members = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
#: Kinds that a recipe turns into messages.
KINDS: Members = {
    BACK_IN_STOCK: (("sku", "name"), ()),
    ORDER_SHIPPED: (("order",), ("carrier", "tracking")),
}
#: Kinds that are kept and send nothing: what somebody looks at and buys, and how far an order is.
TOLD: Members = {
    "product.viewed": (("sku",), ("name",)),
    "product.carted": (("sku",), ("name",)),
    "product.bought": (("sku",), ("name", "order")),
    "order.placed": (("order",), ()),
    "order.delivered": (("order",), ()),
}
_ALL: Members = KINDS | TOLD
#: What somebody may be named by; just one of them.
PERSON = ("psid", "crm_id", "phone", "email")
_LONGEST = 200


def check_kind(kind: str, *, field: str) -> str:
    """``kind`` if a recipe can be set for it. Raises Invalid."""
    if kind not in KINDS:
        raise Invalid(f"`{kind[:64]}` is not a kind of event", field=field, way_out=f"use {' or '.join(KINDS)}")
    return kind


def check_told(kind: str, *, field: str) -> str:
    """``kind`` if it is one at all. Raises Invalid."""
    if kind not in _ALL:
        raise Invalid(f"`{kind[:64]}` is not a kind of event", field=field, way_out=f"use one of {', '.join(_ALL)}")
    return kind


def is_personal(kind: str) -> bool:
    """Whether an event of ``kind`` is about one person, whom it must name."""
    return kind != BACK_IN_STOCK


def product_signal(kind: str) -> str | None:
    """``viewed``, ``carted`` or ``bought``; None for a kind that tells nothing of an interest."""
    return kind.removeprefix("product.") if kind in TOLD and kind.startswith("product.") else None


def check_data(kind: str, data: Mapping[str, Any]) -> dict[str, str]:
    """What the event tells, checked, the person included. Raises Invalid naming the member, ``data.sku``."""
    required, optional = _ALL[kind]
    if is_personal(kind):
        optional = (*optional, *PERSON)
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
            wrong = "is not a usable text" if isinstance(value, str) else "is not text"
            raise Invalid(wrong, field=f"data.{member}", way_out=f"give text of 1 to {_LONGEST} characters")
        checked[member] = value.strip()
    if "sku" in checked:
        check_sku(checked["sku"], field="data.sku")
    if is_personal(kind):
        _check_one_person(checked)
        if "psid" in checked:
            check_psid(checked["psid"], field="data.psid")
    return checked


def _check_one_person(checked: Mapping[str, str]) -> None:
    named = [member for member in PERSON if member in checked]
    if len(named) != 1:
        raise Invalid(
            "is missing" if not named else f"is given beside {named[0]}",
            field=f"data.{named[1] if named else 'psid'}",
            way_out=f"name the person by one of {', '.join(PERSON)}",
        )
