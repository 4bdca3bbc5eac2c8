"""What the run sends: pages, people around the clock, campaigns, follow-ups, and people who change their minds."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from policies.policy import parse_policy
from scheduler import clock
from scheduler.governance.policies import activate_policy
from scheduler.pages.registry import get_page
from scheduler.store import database
from tests.chaos.city import City

#: Tuesday, 2026-03-10 13:00 UTC. At 60 virtual seconds a second, ten minutes are ten hours.
START = int(datetime(2026, 3, 10, 13, 0, tzinfo=UTC).timestamp())
RATE = 60.0
#: Promotions a person may get in 24 hours.
CAP = 3
#: Hours open two minutes late: a clock that is ahead by two real seconds still keeps to the witness's 08:00.
_POLICY = f"""
[policy]
name = "chaos"
packs = ["platform/messenger"]
jurisdictions = "off"

[messaging_window]
margin = "5m"

[[permitted_hours]]
id = "house"
applies_to = ["promotional"]
daily = [["08:02", "21:00"]]

[[frequency_cap]]
id = "daily"
limit = {CAP}
per = "24h"
applies_to = ["promotional"]
"""
#: Zone → share of the people: day all the time; evening, or morning, comes while the run lasts; night all the time.
_ZONES = {
    "America/New_York": 22, "America/Chicago": 16, "America/Bogota": 12, "America/Halifax": 10, "America/Denver": 8,
    "Europe/London": 4, "Europe/Helsinki": 3, "Europe/Moscow": 4, "Asia/Dubai": 4, "Asia/Karachi": 4, "Asia/Kolkata": 4,
    "America/Los_Angeles": 4, "America/Anchorage": 2, "Asia/Tokyo": 3,
}  # fmt: skip
_TEMPLATES = (
    {"name": "promo", "category": "promotional", "bodies": {"en": {"text": "Hi {{ contact.first_name }}, 15% off"}}},
    {
        "name": "shipped", "category": "utility", "utility_name": "order_shipped", "utility_approved": True,
        "bodies": {"en": {"text": "Order {{ order.number }}", "parameters": {"order": "{{ order.number }}"}}},
    },
)  # fmt: skip


@dataclass(slots=True)
class Person:
    psid: str
    page: str


@dataclass(slots=True)
class Load:
    """Who and what there is. Calls come from several threads."""

    city: City
    seed: int
    page_rate: int
    pages: list[dict[str, Any]] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    #: Keys of the events that Duly acknowledged.
    told: list[str] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    _numbers: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def open(self, people: int) -> None:
        """Register the pages, load the people, let each of them have written some hours ago."""
        city, chance = self.city, random.Random(f"{self.seed}:people")
        self.pages = city.sandbox.call("GET", "/pages")
        for page in self.pages:
            registered = {
                "external_id": page["id"], "name": page["name"], "token": page["access_token"],
                "app_external_id": page["app_id"], "app_secret": page["app_secret"],
                "verify_token": page["verify_token"], "mode": "live", "rate": self.page_rate,
            }  # fmt: skip
            city.api.call("POST", "/pages", registered)
            for template in _TEMPLATES:
                city.api.call("POST", f"/pages/{page['id']}/templates", {"default_locale": "en", **template})
            city.api.call("PUT", f"/pages/{page['id']}/recipes/order.shipped", {"template": "shipped"})
        with database.session() as session:
            policy = parse_policy(_POLICY, where="chaos.policy.toml")
            for page in self.pages:
                found = get_page(session, page["id"])
                assert found.id is not None
                activate_policy(session, found.id, policy, actor="chaos", why="the run's policy", now=clock.now())
        zones = chance.choices(list(_ZONES), weights=list(_ZONES.values()), k=people)
        # A third of the windows closes while the run lasts.
        hours = [chance.uniform(1, 6) if chance.random() < 0.7 else chance.uniform(18, 23.8) for _ in range(people)]
        with ThreadPoolExecutor(max_workers=6) as pool:
            self.people = list(pool.map(self._meet, range(people), zones, hours))

    def _meet(self, number: int, zone: str, hours: float) -> Person:
        page = self.pages[number % len(self.pages)]["id"]
        psid = str(self.city.sandbox.call("POST", "/person", {"page_id": page, "zone": zone})["psid"])
        self.city.api.call("PUT", f"/pages/{page}/contacts/{psid}", {"timezone": zone})
        wrote = datetime.fromtimestamp(START - hours * 3600, UTC).isoformat()
        told = self.city.sandbox.call("POST", "/say", {"psid": psid, "at": wrote})
        assert told["delivered"], told
        return Person(psid, page)

    def draft(self, name: str, expires_at: int) -> list[int]:
        """A campaign to everybody on every page; their ids."""
        until = datetime.fromtimestamp(expires_at, UTC).isoformat()
        wanted = {"name": name, "template": "promo", "audience": "everyone", "expires_at": until}
        return [self.city.api.call("POST", f"/pages/{page['id']}/campaigns", wanted)["id"] for page in self.pages]

    def launch(self, campaigns: list[int]) -> None:
        """Launch them. Whoever asks again hears that they were launched already."""
        for campaign in campaigns:
            self.city.api.call("POST", f"/campaigns/{campaign}/launch", fine=(409,))

    def ship(self, person: Person) -> None:
        """An order of this person leaves: a utility message, at any hour."""
        with self._turn:
            self._numbers += 1
            key = f"order-{self._numbers}"
        data = {"order": key, "psid": person.psid}
        self.city.api.call("POST", f"/pages/{person.page}/events", {"kind": "order.shipped", "key": key, "data": data})
        self.told.append(key)

    def stop(self, psid: str) -> None:
        """The person says STOP; the webhook takes its own time."""
        self.stopped.add(psid)
        self.city.sandbox.call("POST", "/say", {"psid": psid, "kind": "stop", "wait": False})
