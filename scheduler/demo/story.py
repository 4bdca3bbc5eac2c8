"""What the shop does, and when: the demo's plot, in virtual seconds after its start.

People are the sandbox's business; this side only does what a shop does: it keeps customer records, asks for campaigns,
says that a product is back and that an order left.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from scheduler.demo.shop import Platform, Shop

_HOUR = 3600

#: The plot is written for a day and a half; a shorter run plays it faster.
FULL_LENGTH = 36 * _HOUR

_WE_MISS_YOU = {
    "en": {
        "text": "Hi {{ contact.first_name | default: 'there' }}, the spring collection is here. 15% off until Monday."
    },
    "fr": {"text": "Bonjour {{ contact.first_name }}, la collection de printemps est là : -15 % jusqu'à lundi."},
    "de": {"text": "Hallo {{ contact.first_name }}, die Frühlingskollektion ist da: 15 % Rabatt bis Montag."},
    "es": {"text": "Hola {{ contact.first_name }}, ya llegó la colección de primavera: 15 % hasta el lunes."},
    "pt": {"text": "Olá {{ contact.first_name }}, a coleção de primavera chegou: 15 % até segunda-feira."},
}
_LAST_CALL = {"en": {"text": "{{ contact.first_name | default: 'Hello' }}, a last call: 15% off ends tomorrow."}}
_BACK_IN_STOCK = {
    "en": {"text": "Good news: {{ product.name }} is back in stock."},
    "fr": {"text": "Bonne nouvelle : {{ product.name }} est de nouveau en stock."},
    "de": {"text": "Gute Nachricht: {{ product.name }} ist wieder da."},
    "es": {"text": "Buenas noticias: {{ product.name }} vuelve a estar disponible."},
    "pt": {"text": "Boas notícias: {{ product.name }} está de volta."},
}
_SHIPPED = {
    "en": {
        "text": "Your order {{ order.number }} is on its way with {{ order.carrier }}.",
        "parameters": {"order": "{{ order.number }}", "carrier": "{{ order.carrier }}"},
    }
}


@dataclass(slots=True)
class Cast:
    """Who takes part: the shop's side of everything."""

    shop: Shop
    platform: Platform
    pages: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    campaigns: list[int] = field(default_factory=list)
    previews: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Step:
    """Something the shop does at an offset from the start, virtual seconds."""

    at: int
    words: str
    act: Callable[[Cast], None]


def open_shop(cast: Cast) -> None:
    """Register the pages and load the shop's own records of its customers, before anybody writes."""
    cast.pages = cast.platform.get("/pages")
    for page in cast.pages:
        cast.shop.call(
            "POST",
            "/pages",
            {
                "external_id": page["id"],
                "name": page["name"],
                "token": page["access_token"],
                "app_external_id": page["app_id"],
                "app_secret": page["app_secret"],
                "verify_token": page["verify_token"],
                "mode": "live",
            },
        )
        base = f"/pages/{page['id']}"
        for template in (
            {"name": "we_miss_you", "category": "promotional", "bodies": _WE_MISS_YOU},
            {"name": "last_call", "category": "promotional", "bodies": _LAST_CALL},
            {"name": "back_in_stock", "category": "promotional", "topic": "back_in_stock", "bodies": _BACK_IN_STOCK},
            {
                "name": "order_shipped",
                "category": "utility",
                "bodies": _SHIPPED,
                "utility_name": "order_shipped",
                "utility_approved": True,
            },
        ):
            cast.shop.call("POST", f"{base}/templates", {"default_locale": "en", **template})
        cast.shop.call("PUT", f"{base}/recipes/product.back_in_stock", {"template": "back_in_stock"})
        cast.shop.call("PUT", f"{base}/recipes/order.shipped", {"template": "order_shipped"})
    cast.records = [person for person in cast.platform.get("/people") if person["imports"]]

    def keep(person: dict[str, Any]) -> None:
        cast.shop.call("PUT", f"/pages/{person['page_id']}/contacts/{person['psid']}", person["imports"])

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(keep, cast.records))


def _campaign(template: str, name: str) -> Callable[[Cast], None]:
    def act(cast: Cast) -> None:
        for page in cast.pages:
            made = cast.shop.call(
                "POST",
                f"/pages/{page['id']}/campaigns",
                {"name": f"{name}, {page['name']}", "template": template, "audience": "everyone"},
            )
            preview = cast.shop.call("POST", f"/campaigns/{made['id']}/preview")
            cast.previews.append({"page": page["name"], "name": name, **preview})
            cast.shop.call("POST", f"/campaigns/{made['id']}/launch")
            cast.campaigns.append(made["id"])

    return act


def _stock_returns(round_name: str) -> Callable[[Cast], None]:
    def act(cast: Cast) -> None:
        for page in cast.pages:
            for sku in page["skus"]:
                cast.shop.call(
                    "POST",
                    f"/pages/{page['id']}/events",
                    {
                        "kind": "product.back_in_stock",
                        "key": f"{sku}:{round_name}",
                        "data": {"sku": sku, "name": sku.replace("-", " ").title()},
                    },
                )

    return act


def _orders_ship(first: int, count: int) -> Callable[[Cast], None]:
    def act(cast: Cast) -> None:
        for number, person in enumerate(cast.records[first : first + count], start=1001 + first):
            cast.shop.call(
                "POST",
                f"/pages/{person['page_id']}/events",
                {
                    "kind": "order.shipped",
                    "key": f"order-{number}",
                    "data": {
                        "order": str(number),
                        "psid": person["psid"],
                        "carrier": "DHL",
                        "tracking": f"JD{number:012}",
                    },
                },
            )

    return act


def plot(length: int, records: int) -> list[Step]:
    """The steps of a run of ``length`` virtual seconds with ``records`` customer records, in order of time."""
    third = max(1, records // 3)
    steps = [
        Step(5 * _HOUR, "a first lot of orders ships", _orders_ship(0, third)),
        Step(8 * _HOUR, "products are back in stock", _stock_returns("first")),
        Step(
            int(14.5 * _HOUR),
            "the marketer previews and launches “spring collection”",
            _campaign("we_miss_you", "spring"),
        ),
        Step(17 * _HOUR, "orders ship, in the night of some", _orders_ship(third, third)),
        Step(21 * _HOUR, "products are back in stock again", _stock_returns("second")),
        Step(25 * _HOUR, "the marketer launches “last call”", _campaign("last_call", "last call")),
        Step(28 * _HOUR, "the last orders ship", _orders_ship(2 * third, records - 2 * third)),
    ]
    for step in steps:
        step.at = step.at * length // FULL_LENGTH
    return steps
