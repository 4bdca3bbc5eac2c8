"""What a template may name, and what is known of it before anything is sent."""

from __future__ import annotations

#: Root → its members; None: any member, the shop's own words. Every template has these.
ALWAYS: dict[str, tuple[str, ...]] = {
    "contact": ("name", "first_name", "locale", "attributes"),
    "page": ("name",),
}
#: What a business event of a kind adds.
BY_EVENT: dict[str, dict[str, tuple[str, ...]]] = {
    "product.back_in_stock": {"product": ("sku", "name")},
    "order.shipped": {"order": ("number", "carrier", "tracking")},
}
#: Members below which anything may be named.
OPEN = frozenset({("contact", "attributes")})

KNOWN: dict[str, tuple[str, ...]] = ALWAYS | {
    root: members for roots in BY_EVENT.values() for root, members in roots.items()
}

#: Somebody, to try a template on when it is saved.
SAMPLE: dict[str, dict[str, object]] = {
    "contact": {"name": "Alexandra Example", "first_name": "Alexandra", "locale": "en_US", "attributes": {}},
    "page": {"name": "An Example Shop"},
    "product": {"sku": "SKU-0001", "name": "An example product"},
    "order": {"number": "100001", "carrier": "Carrier", "tracking": "TRACK0000000001"},
}


def listed() -> str:
    """All names a template may use, for an error's way out."""
    return ", ".join(f"{root}.{member}" for root, members in KNOWN.items() for member in members)
