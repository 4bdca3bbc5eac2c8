"""The pages and the virtual people: the same seed makes the same ones, always."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from workers.sandbox.places import PLACES, Place
from workers.sandbox.words import FIRST_NAMES, LAST_NAMES, language

#: How a person's zone becomes known, with its share in percent.
EVIDENCE = {"optin_iana": 30, "import_iana": 25, "profile_offset": 20, "country_only": 15, "none": 10}

_SHOPS = (
    ("Northwind Outfitters", ("linen-shirt", "rain-jacket")),
    ("Casa Azul", ("ceramic-mug", "wool-blanket")),
    ("Blütenwerk", ("rose-lamp", "oak-stool")),
    ("Papier & Cie", ("leather-notebook", "fountain-pen")),
)

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A sending account, with everything whoever connects it must know."""

    id: str
    name: str
    access_token: str
    app_id: str
    app_secret: str
    verify_token: str
    skus: tuple[str, ...]
    #: What its paid marketing messages go through.
    ad_account_id: str
    message_campaign_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as one page knows them. ``zone`` is the truth; how anyone learns it is ``evidence``."""

    psid: str
    page_id: str
    zone: str
    country: str | None = None
    region: str | None = None
    locale: str = "en_US"
    first_name: str = "Alex"
    last_name: str = "Doe"
    evidence: str = "none"

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def imports(self) -> dict[str, str]:
        """What the shop's own records hold; empty when the zone becomes known otherwise, or never."""
        if self.evidence not in ("import_iana", "country_only"):
            return {}
        known = {"locale": self.locale, "name": self.name, "first_name": self.first_name}
        if self.evidence == "import_iana":
            known["timezone"] = self.zone
        if self.country is not None:
            known["country"] = self.country
        # Not every shop asks for the state; the last digit decides, so that it stays.
        if self.region is not None and int(self.psid[-1]) % 2 == 0:
            known["region"] = self.region
        return known

    def record(self) -> dict[str, Any]:
        """The line of the log that tells the witness who this is."""
        return {"kind": "person", **asdict(self)}


def make_pages(seed: int, app_secret: str, verify_token: str) -> list[Page]:
    """The four pages, all of one app. A page's token depends on the seed and the app's secret alone."""
    app_id = _digits("app", seed, 15)
    return [
        Page(
            id=page_id,
            name=name,
            access_token="EAA" + hmac.new(app_secret.encode(), f"{seed}:{page_id}".encode(), "sha256").hexdigest(),
            app_id=app_id,
            app_secret=app_secret,
            verify_token=verify_token,
            skus=skus,
            ad_account_id=_digits(f"ad account {number}", seed, 15),
            message_campaign_id=_digits(f"message campaign {number}", seed, 17),
        )
        for number, (name, skus) in enumerate(_SHOPS)
        for page_id in [_digits(f"page {number}", seed, 15)]
    ]


def make_people(seed: int, count: int, pages: Sequence[Page]) -> list[Person]:
    """``count`` people, spread over places, kinds of evidence and pages in fixed shares."""
    rng = random.Random(f"{seed}:people")
    places: list[Place] = _dealt(rng, {place: place.share for place in PLACES}, count)
    evidence: list[str] = _dealt(rng, EVIDENCE, count)
    people = []
    for number in range(count):
        place = places[number]
        locale = rng.choice(place.locales)
        tongue = language(locale)
        people.append(
            Person(
                psid=_digits(f"person {number}", seed, 16),
                page_id=pages[number % len(pages)].id,
                zone=place.zone,
                country=place.country,
                region=place.region,
                locale=locale,
                first_name=rng.choice(FIRST_NAMES.get(tongue, FIRST_NAMES["en"])),
                last_name=rng.choice(LAST_NAMES.get(tongue, LAST_NAMES["en"])),
                evidence=evidence[number],
            )
        )
    return people


def _dealt(rng: random.Random, shares: dict[_Item, int], count: int) -> list[_Item]:
    """``count`` items in the given shares, as near as whole numbers allow, shuffled."""
    total = sum(shares.values())
    dealt: list[_Item] = []
    owed = 0.0
    for item, share in shares.items():
        owed += share * count / total
        dealt += [item] * (round(owed) - len(dealt))
    rng.shuffle(dealt)
    return dealt


def _digits(what: str, seed: int, length: int) -> str:
    number = int.from_bytes(hashlib.sha256(f"{seed}:{what}".encode()).digest()[:8])
    return str(10 ** (length - 1) + number % (9 * 10 ** (length - 1)))
