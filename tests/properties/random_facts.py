"""Random facts for the two readings: places, instants and histories, steered to where something changes."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from policies.facts import Consent, Facts, Planned, Send, Token
from tests.properties.naive_documents import DAY, HOUR, MINUTE
from tests.properties.naive_places import all_zones, pack_codes, subdivisions, zone_tab

#: Where clocks do odd things, where none do, and links; any zone of tzdata may come besides.
ZONES = (
    "America/New_York", "America/Los_Angeles", "America/Phoenix", "America/St_Johns", "America/Sao_Paulo",
    "Europe/Berlin", "Europe/London", "Europe/Dublin", "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll",
    "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati",
    "Pacific/Pago_Pago", "Asia/Kathmandu", "Asia/Calcutta", "Asia/Seoul", "Asia/Taipei", "Asia/Ho_Chi_Minh",
    "Asia/Gaza", "Asia/Beirut", "America/Santiago", "America/Havana", "America/Nuuk", "US/Eastern", "Etc/UTC",
    "Etc/GMT+12", "Europe/Amsterdam", "America/Scoresbysund",
)  # fmt: skip
#: Zones that are not places, in the list of tzdata or not.
PLACELESS = (
    "UTC", "GMT", "EST", "EST5EDT", "MST", "HST", "CET", "EET", "Etc/GMT-5", "Etc/GMT+5", "Etc/GMT+1", "Etc/GMT-1",
    "Zulu", "Factory", "UTC-5", "Mars/Olympus", "europe/berlin",
)  # fmt: skip
COUNTRIES = ("US", "DE", "KR", "TH", "TW", "VN", "IN", "SA", "AU", "BR", "RU", "NP", "ES", "CL", "KI", "AQ", "FR", "JP")
#: Territories with a country's code of their own.
TERRITORIES = ("RE", "GP", "PF", "BL", "PR", "GU", "AW", "BQ", "AX", "SJ", "HK", "TW", "CX", "JE", "BM", "XK")
#: The same written as regions of their states, by today's codes and by others.
ISLANDS = (
    "FR-974", "FR-RE", "FR-971", "FR-PF", "FR-BL", "FR-987", "US-PR", "US-GU", "US-UM", "NL-AW", "NL-BQ1", "NL-BQ",
    "FI-01", "NO-21", "CN-HK", "CN-TW", "AU-CX", "GB-JE", "GB-BM", "US-FM",
)  # fmt: skip
#: Regions without a pack, with and without a calendar of holidays.
REGIONS = ("DE-BY", "DE-BE", "AU-NSW", "FR-57", "FR-IDF", "ES-CT", "BR-SP", "CA-QC", "IT-25", "KR-11", "GB-SCT")
#: Days on which some clocks change, as month and day.
CHANGES = ((2, 14), (3, 9), (3, 28), (4, 5), (4, 26), (9, 6), (9, 27), (10, 4), (10, 26), (11, 2))
DAYS_OFF = ((1, 1), (4, 3), (5, 1), (7, 4), (7, 14), (8, 15), (10, 3), (11, 1), (11, 26), (12, 25))
CATEGORIES = ("promotional", "utility", "service")


def instant(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def moment(chance: random.Random) -> int:
    """When the question is put: weeks of changed clocks, days off, days on which rules change, or any time."""
    sort = chance.random()
    if sort < 0.5:
        now = instant(chance.randint(2024, 2030), *chance.choice(CHANGES)) + chance.randint(-3 * 96, 4 * 96) * 900
    elif sort < 0.7:
        now = chance.randint(instant(2020, 1, 1), instant(2035, 11, 30))  # calendars of holidays end with 2035
    elif sort < 0.85:
        now = instant(chance.randint(2020, 2034), *chance.choice(DAYS_OFF)) + chance.randint(-3 * 24, 2 * 24) * HOUR
    elif sort < 0.97:
        day = chance.choice((instant(2026, 2, 10), instant(2026, 9, 28), instant(2026, 10, 2)))
        now = day + chance.randint(-20 * 24, 10 * 24) * HOUR
    else:
        now = instant(2011, 12, 30) + chance.randint(-3 * 96, 3 * 96) * 900
    return now + chance.choice((0, 0, -1, 1, 7 * MINUTE, chance.randint(-900, 900)))


@functools.cache
def regions() -> tuple[str, ...]:
    return tuple(code for code in pack_codes() if "-" in code) + REGIONS


@functools.cache
def countries() -> tuple[str, ...]:
    return tuple(code for code in pack_codes() if "-" not in code and code != "EU") + COUNTRIES


def place(chance: random.Random) -> dict[str, object]:
    """Evidence of where somebody is: the sort, then the value."""
    sort = chance.choices(
        ("zone", "candidates", "offset", "country", "region", "both", "both_region", "region_offset", "none"),
        (24, 10, 8, 12, 8, 18, 12, 4, 2),
    )[0]
    name = chance.choice(ZONES) if chance.random() < 0.7 else chance.choice(all_zones())
    country = chance.choice(countries())
    if chance.random() < 0.15:
        country = chance.choice(sorted({*zone_tab().values(), *(code for code in subdivisions() if len(code) == 2)}))
    region = chance.choice(regions())
    odd = chance.random()
    if odd < 0.12:
        country = chance.choice(TERRITORIES)
    elif odd < 0.24:
        region = chance.choice(ISLANDS)
    elif odd < 0.36:
        name = chance.choice(PLACELESS)
    offset = chance.choice([*range(-720, 841, 60), 330, 345, -210, 630, 765])
    if sort == "zone":
        return {"timezones": (name,)}
    if sort == "candidates":
        return {"timezones": tuple(dict.fromkeys((name, *chance.sample(ZONES, chance.randint(1, 2)))))}
    if sort == "offset":
        return {"utc_offset": offset} | ({"country": country} if chance.random() < 0.5 else {})
    if sort == "country":
        return {"country": country}
    if sort == "region":
        return {"region": region} | ({"country": region[:2]} if chance.random() < 0.5 else {})
    if sort == "both":
        own = [zone for zone, its in zone_tab().items() if its == country]
        return {"timezones": (chance.choice(own) if own and chance.random() < 0.7 else name,), "country": country}
    if sort == "both_region":
        own = [zone for zone, its in zone_tab().items() if its == region[:2]]
        return {"timezones": (chance.choice(own or [name]),), "region": region}
    return {"region": region, "utc_offset": offset} if sort == "region_offset" else {}


def around(chance: random.Random, now: int, spans: tuple[int, ...]) -> int:
    """An instant near ``now + span``: exactly there, a second beside it, or anywhere about."""
    return now + chance.choice(spans) + chance.choice((0, 0, -1, 1, chance.randint(-2 * HOUR, 2 * HOUR)))


def case(chance: random.Random) -> tuple[Facts, int, int]:
    """Facts, the instant of the question, and for how long a send must stay permitted."""
    now = moment(chance)
    facts = Facts(**place(chance))  # type: ignore[arg-type]  # the names are those of Facts
    facts.category = chance.choices(CATEGORIES, (74, 16, 10))[0]
    facts.template_approved = chance.random() < 0.6
    facts.may_wait = chance.random() < 0.4
    facts.topic = chance.choice((None, None, "news", "sport"))
    for share, add in (
        (0.85, _inbound), (0.25, _advertisement), (0.5, _sends), (0.5, _tokens), (0.6, _consents), (0.35, _schedule),
        (0.12, _handover), (0.2, _bars), (0.1, _switches), (0.2, _planned),
    ):  # fmt: skip
        if chance.random() < share:
            add(chance, facts, now)
    return facts, now, chance.choice((0, 0, 0, 2, 2000))


Add = Callable[[random.Random, Facts, int], None]


def _inbound(chance: random.Random, facts: Facts, now: int) -> None:
    spans = (0, -HOUR, -6 * HOUR, -12 * HOUR, -20 * HOUR, 5 * MINUTE - DAY, -DAY, -2 * DAY)
    facts.last_inbound = min(now, around(chance, now, spans))


def _advertisement(chance: random.Random, facts: Facts, now: int) -> None:
    facts.ad_inbound = min(now, around(chance, now, (0, -DAY, -3 * DAY, -6 * DAY, 5 * MINUTE - 7 * DAY, -7 * DAY)))


def _sends(chance: random.Random, facts: Facts, now: int) -> None:
    spans = (0, -30 * MINUTE, -10 * MINUTE, -HOUR, -5 * HOUR, -DAY, -30 * HOUR, -3 * DAY, -7 * DAY, -20 * DAY)
    made = sorted(min(now, around(chance, now, spans)) for _ in range(chance.randint(1, 4)))
    facts.sends = tuple(
        Send(
            at=at,
            category=chance.choices(CATEGORIES, (8, 2, 1))[0],
            ground=chance.choice((None, "standard_window", "marketing_token", "recurring", "one_time_token")),
            confirms_opt_out=chance.random() < 0.1,
        )
        for at in made
    )


def _planned(chance: random.Random, facts: Facts, now: int) -> None:
    spans = (0, 0, 5 * MINUTE, HOUR, 5 * HOUR, DAY, 30 * HOUR, 3 * DAY, 8 * DAY)
    facts.planned = tuple(
        Planned(at=at, category=chance.choices(CATEGORIES, (8, 2, 1))[0], owner="campaign 3")
        for at in sorted(max(now, around(chance, now, spans)) for _ in range(chance.choice((1, 1, 1, 2, 3))))
    )


def _tokens(chance: random.Random, facts: Facts, now: int) -> None:
    used = (0, -HOUR, -12 * HOUR, -DAY, -40 * HOUR, -2 * DAY, -9 * DAY)
    facts.tokens = tuple(
        Token(
            kind=chance.choice(("marketing", "recurring", "one_time")),
            topic=chance.choice((None, "news", facts.topic)),
            expires_at=None
            if chance.random() < 0.6
            else around(chance, now, (-HOUR, HOUR, 6 * HOUR, DAY, 10 * DAY, 40 * DAY)),
            last_used_at=None if chance.random() < 0.5 else min(now, around(chance, now, used)),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    )


def _consents(chance: random.Random, facts: Facts, now: int) -> None:
    spans = (-DAY, -30 * DAY, -181 * DAY, -184 * DAY, -365 * DAY, -730 * DAY, -731 * DAY, -900 * DAY, 0, HOUR, DAY)
    found = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        granted = around(chance, now, spans)
        if chance.random() < 0.3:
            # To the second, so many months before something near: the ends of short months too.
            then = datetime.fromtimestamp(now, UTC) + timedelta(hours=chance.randint(-3, 30))
            months = then.year * 12 + then.month - 1 - chance.choice((3, 6, 12, 18, 24))
            granted = int(then.replace(year=months // 12, month=months % 12 + 1, day=min(then.day, 28)).timestamp())
        expires = None if chance.random() < 0.6 else around(chance, now, (-DAY, -HOUR, HOUR, 6 * HOUR, DAY, 900 * DAY))
        kind = chance.choices(("express", "implied", "night"), (5, 4, 2))[0]
        topic = chance.choice((None, None, "news", facts.topic))
        found.append(Consent(kind=kind, topic=topic, granted_at=granted, expires_at=expires))
    facts.consents = tuple(found)


def _schedule(chance: random.Random, facts: Facts, now: int) -> None:
    if chance.random() < 0.6:
        facts.not_before = around(chance, now, (-HOUR, HOUR, 5 * HOUR, 12 * HOUR, DAY, 3 * DAY, 31 * DAY))
    if chance.random() < 0.6:
        facts.expires_at = around(chance, now, (0, HOUR, 3 * HOUR, 9 * HOUR, DAY, 2 * DAY, 10 * DAY, 40 * DAY))


def _handover(chance: random.Random, facts: Facts, now: int) -> None:
    facts.handover = True
    spans = (0, -30 * MINUTE, -HOUR, -6 * HOUR, HOUR - 12 * HOUR, -DAY, HOUR - 7 * DAY, 20 * HOUR - 7 * DAY, -7 * DAY)
    facts.handover_at = None if chance.random() < 0.2 else min(now, around(chance, now, spans))


def _bars(chance: random.Random, facts: Facts, now: int) -> None:
    sort = chance.randint(0, 7)
    if sort < 3:
        facts.opted_out = sort != 0
        facts.opted_out_topics = () if sort == 1 else chance.choice((("news",), ("sport",), ("sport", "news")))
        facts.opted_out_at = chance.choice((None, now - HOUR, now - 4 * MINUTE, now, now + 1, now - 299, now - 300))
        if chance.random() < 0.6:
            facts.confirms_opt_out = True
            facts.category = chance.choice(("service", "service", "service", "promotional"))
    else:
        setattr(facts, ("blocked", "unreachable", "erased", "not_allowed", "opted_out")[sort - 3], True)


def _switches(chance: random.Random, facts: Facts, now: int) -> None:
    for name in chance.sample(("held", "kill_switch", "campaign_paused", "page_stopped"), chance.choice((1, 1, 2))):
        setattr(facts, name, True)
