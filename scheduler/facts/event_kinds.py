"""What the kind of a business event says of its messages, for whoever plans them or makes them again."""

from __future__ import annotations

from collections.abc import Mapping

BACK_IN_STOCK = "product.back_in_stock"


def is_requested(kind: str) -> bool:
    """Whether each person whom an event of ``kind`` reaches asked for its message: who has an open wish did."""
    return kind == BACK_IN_STOCK


def variables_of(kind: str, data: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What an event of ``kind`` adds to a template's variables."""
    if kind == BACK_IN_STOCK:
        return {"product": {"sku": data["sku"], "name": data["name"]}}
    order = {"number": data["order"]}
    return {"order": order | {member: data[member] for member in ("carrier", "tracking") if member in data}}
