"""People, messages and instants to compare two policies over: made so that a clause bites, and at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product
from random import Random

from policies.calendars import calendar_of, holidays_between
from policies.diff.edits import rows_that_differ
from policies.facts import CATEGORIES, Consent, Facts, Send, Token
from policies.law import binding_consent, jurisdiction_pack, jurisdictions_with_packs
from policies.local_time import DAY, offset_at
from policies.places import zones_of_countries
from policies.policy import Policy

HOUR = 3600

#: Zones of no country with rules of their own, and some whose clocks change or run oddly.
#: A place whose clock shows UTC: the name `UTC` is not a place.
_EVEN = "Atlantic/Reykjavik"
_ZONES = (_EVEN, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
#: Countries whose holidays differ, for rows that speak of them.
_CALENDARS = (("US", "America/New_York"), ("DE", "Europe/Berlin"), ("KR", "Asia/Seoul"), ("GB", "Europe/London"))
_MOST_SENDS = 40
#: Of a cap that changed so many are tried.
_MOST_TRIED = 500


@dataclass(frozen=True, slots=True)
class Trial:
    """Facts and the instant from which to look ahead."""

    facts: Facts
    now: int


def directed(clause: str, old: Policy, new: Policy, at: int) -> Iterator[Trial]:
    """Trials in which the clause can matter, near the instant ``at``."""
    part = clause.partition(".")[0]
    if part == "permitted_hours":
        yield from _about_hours(clause.partition(".")[2], old, new, at)
    elif part in ("frequency_cap", "minimum_gap"):
        yield from _about_history(old, new, at)
    elif part == "messaging_window":
        yield from _about_window(at, old)
    elif part == "handover":
        yield from _about_handover(old, new, at)
    elif part == "consent":
        yield from _about_consent(at)
    elif part == "unknown_zone":
        yield from _about_zones(at)
    elif clause == "policy.jurisdictions":
        yield from _about_jurisdictions(old, new, at)


def at_random(random: Random, at: int) -> Trial:
    """Anything, anywhere, within half a year of ``at``."""
    now = at + random.randrange(-180 * DAY, 180 * DAY)
    codes = sorted(jurisdictions_with_packs())
    places: list[Facts] = [
        Facts(timezones=(random.choice(_ZONES),)),
        Facts(timezones=("America/New_York", "Europe/Berlin")),
        Facts(utc_offset=random.choice((-300, 0, 330, 345))),
        _place(random.choice(codes)),
    ]
    facts = random.choice(places)
    facts.category = random.choice(CATEGORIES)
    facts.topic = random.choice((None, None, "a", "b"))
    if random.random() < 0.8:
        facts.last_inbound = now - random.choice((0, HOUR, 20 * HOUR, random.randrange(30 * HOUR)))
    if random.random() < 0.2:
        facts.ad_inbound = facts.last_inbound
    facts.template_approved = random.random() < 0.4
    facts.tokens = tuple(
        Token(
            kind=random.choice(("marketing", "recurring", "one_time")),
            topic=random.choice((None, "a")),
            last_used_at=random.choice((None, now - random.randrange(60 * HOUR))),
            expires_at=random.choice((None, now + random.randrange(5 * DAY))),
        )
        for _ in range(random.choice((0, 0, 1, 2)))
    )
    facts.consents = tuple(
        Consent(
            kind=random.choice(("express", "implied", "night")),
            topic=random.choice((None, "a")),
            granted_at=now - random.choice((DAY, 200 * DAY, 800 * DAY)),
            expires_at=random.choice((None, now + random.randrange(-DAY, 3 * DAY))),
        )
        for _ in range(random.choice((0, 1, 1, 2)))
    )
    if random.random() < 0.15:
        facts.handover, facts.handover_at = True, now - random.randrange(9 * DAY)
    ages = (random.choice((60, HOUR, 13 * HOUR, DAY, random.randrange(1, 8 * DAY))) for _ in range(random.randrange(5)))
    facts.sends = tuple(
        Send(at=now - age, category=random.choice(CATEGORIES), ground=random.choice((None, "marketing_token")))
        for age in sorted(ages, reverse=True)
    )
    return Trial(facts, now)


def _about_hours(id_: str, old: Policy, new: Policy, at: int) -> Iterator[Trial]:
    entries = [entry for entry in (*old.hours, *new.hours) if entry.id == id_]
    for name in _ZONES:
        place = Facts(timezones=(name,))
        starts = [*_days(name, at, range(8)), *_days(name, at, _changes(name, at))]
        for start, category in product(starts, CATEGORIES):
            yield from _opened(place, category, start)
            yield from _opened(place, category, start + 14 * HOUR)
    if any(entry.holidays for entry in entries):
        for country, name in _CALENDARS:
            calendar = calendar_of(country, None)
            today = at // DAY
            found = holidays_between(calendar, today, today + 370) if calendar else {}
            days = sorted({each - today - before for each in found for before in (1, 0)})[:24]
            place = Facts(country=country, timezones=(name,))
            for start, category in product(_days(name, at, days), CATEGORIES):
                yield from _opened(place, category, start)


def _about_history(old: Policy, new: Policy, at: int) -> Iterator[Trial]:
    moments = [(name, day + 12 * HOUR) for name in (_EVEN, "America/New_York") for day in _days(name, at, (2,))]
    if any(cap.calendar for cap in (*old.caps, *new.caps)):
        # A calendar's day has 23 or 25 hours where the clocks change.
        moments += [
            ("America/New_York", day + 1) for day in _days("America/New_York", at, _changes("America/New_York", at))
        ]
    for (name, now), category, counted in product(moments, CATEGORIES, CATEGORIES):
        for ages in _histories(old, new):
            sends = tuple(Send(at=now - age, category=counted) for age in sorted(ages, reverse=True))
            for trial in _opened(Facts(timezones=(name,)), category, now):
                yield Trial(replace(trial.facts, sends=sends), trial.now)


def _histories(old: Policy, new: Policy) -> Iterator[tuple[int, ...]]:
    caps, gaps = {*old.caps, *new.caps}, {*old.gaps, *new.gaps}
    periods = {cap.period or (DAY if cap.calendar == "day" else 7 * DAY) for cap in caps}
    pauses = {gap.between for gap in gaps}
    # A limit that changed is tried whatever it is.
    most = max((cap.limit for cap in set(old.caps) ^ set(new.caps) if cap.limit <= _MOST_TRIED), default=_MOST_SENDS)
    counts = {count for cap in caps for count in (cap.limit - 1, cap.limit) if 0 < count <= max(most, _MOST_SENDS)} | {
        1
    }
    leads = {1, 13 * HOUR, *periods, *pauses, *(each - HOUR for each in periods), *(each // 2 for each in pauses)}
    if any(cap.calendar == "week" for cap in caps):
        # Early on the Monday of a week that is longer than seven days.
        leads.add(6 * DAY - HOUR // 2)
    for count, lead, apart in product(sorted(counts), sorted(leads), sorted({1, *periods, *pauses})):
        ages = tuple(lead + number * apart for number in range(count))
        if lead > 0 and ages[-1] < 30 * DAY and (count > 1 or apart == 1):
            yield ages


def _about_window(at: int, old: Policy) -> Iterator[Trial]:
    since = max(at, old.platform.click_to_messenger_since)
    for name, begun, hours, category in product((_EVEN, "Asia/Kathmandu"), (at, since), (0, 6, 12, 18), CATEGORIES):
        now = begun - begun % DAY + DAY + hours * HOUR
        for trial in _opened(Facts(timezones=(name,)), category, now):
            yield trial
            yield Trial(replace(trial.facts, ad_inbound=now), now)


def _about_handover(old: Policy, new: Policy, at: int) -> Iterator[Trial]:
    spans = [each for each in (old.handover_timeout, new.handover_timeout) if each is not None]
    ages = [0, *spans, *(span - HOUR for span in spans if span > HOUR)]
    for hours, category in product((0, 9, 15), CATEGORIES):
        now = at - at % DAY + hours * HOUR
        for trial, age in product(_opened(Facts(timezones=(_EVEN,)), category, now), ages):
            yield Trial(replace(trial.facts, handover=True, handover_at=now - age), now)


def _about_consent(at: int, codes: Iterable[str] | None = None) -> Iterator[Trial]:
    asking = (
        codes
        if codes is not None
        else (code for code in sorted(jurisdictions_with_packs()) if binding_consent(code, "courtesy"))
    )
    places = [_place(code) for code in asking] + ([] if codes is not None else [Facts(timezones=("UTC",))])
    for place in places:
        now = _noon(place, at)
        grants: list[tuple[Consent, ...]] = [()]
        for kind, age in product(("express", "implied"), (DAY, 200 * DAY, 400 * DAY, 900 * DAY, 1500 * DAY)):
            grants.append((Consent(kind=kind, granted_at=now - age),))
        grants.append((Consent(kind="express", granted_at=now - DAY, expires_at=now + 2 * HOUR),))
        grants.append((Consent(kind="express", granted_at=now - DAY, topic="a"),))
        for consents in grants:
            yield Trial(replace(place, last_inbound=now, consents=consents), now)


def _about_zones(at: int) -> Iterator[Trial]:
    places = [
        Facts(), Facts(utc_offset=60), Facts(timezones=(_EVEN, "Asia/Kathmandu")),
        Facts(timezones=("America/New_York", "Pacific/Honolulu")), Facts(timezones=(_EVEN, "Pacific/Auckland")),
        *(Facts(country=code) for code in ("US", "RU", "AU", "CA", "BR")),
    ]  # fmt: skip
    for place, hours, category in product(places, (0, 8, 16), CATEGORIES):
        now = at - at % DAY + hours * HOUR
        for trial in _opened(place, category, now):
            yield trial
            if hours == 16:
                yield Trial(replace(trial.facts, sends=(Send(at=now - 17 * HOUR, category=category),)), now)


def _about_jurisdictions(old: Policy, new: Policy, at: int) -> Iterator[Trial]:
    consent = "packs" in (old.consent, new.consent)
    starts, stops = rows_that_differ(old.jurisdictions, new.jurisdictions, consent=consent)
    codes = sorted({row.partition(".")[0] for row in (*starts, *stops)})
    for code in codes:
        place, pack = _place(code), jurisdiction_pack(code)
        assert pack is not None  # a row of it binds
        name = place.timezones[0]
        for start, lead in product(_days(name, at, range(7)), (0, 14 * HOUR)):
            yield from _opened(place, "promotional", start + lead)
        for cap in pack.caps:
            now = _noon(place, at)
            count = min(cap.limit, _MOST_SENDS)
            # A day apart, so that no daily cap of the house hides it; and all at once.
            for apart in (60, DAY):
                ages = [HOUR + number * apart for number in range(count)]
                sends = tuple(Send(at=now - age, category="promotional") for age in reversed(ages))
                for trial in _opened(place, "promotional", now):
                    yield Trial(replace(trial.facts, sends=sends), now)
    yield from _about_consent(at, [row.partition(".")[0] for row in (*starts, *stops) if row.endswith(".consent")])


def _opened(place: Facts, category: str, now: int) -> Iterator[Trial]:
    """The person has just written; and for what may go without it, a template or a token. They agreed to it too."""
    agreed = (Consent(kind="express", granted_at=now - DAY),) if category == "promotional" else ()
    facts = replace(place, category=category, last_inbound=now, consents=agreed)
    yield Trial(facts, now)
    if category == "promotional":
        yield Trial(replace(facts, last_inbound=None, tokens=(Token(kind="marketing"),)), now)
    if category == "utility":
        yield Trial(replace(facts, last_inbound=None, template_approved=True), now)


def _place(code: str) -> Facts:
    """Somebody in a jurisdiction, in one zone of it."""
    pack = jurisdiction_pack(code)
    members = pack.members if pack else ()
    region = code if "-" in code else None
    country = code.partition("-")[0] if not members else members[0]
    zones = (pack.zones if pack and pack.zones else ()) or zones_of_countries().get(country, (_EVEN,))
    return Facts(country=country, region=region, timezones=(zones[0],))


def _noon(place: Facts, at: int) -> int:
    return next(iter(_days(place.timezones[0] if place.timezones else _EVEN, at, (2,)))) + 12 * HOUR


def _days(name: str, at: int, days: Iterable[int]) -> Iterator[int]:
    """The local midnights of so many days after ``at``, as near as an offset at noon tells."""
    for day in days:
        midnight = at - at % DAY + day * DAY
        yield midnight - offset_at(name, midnight)


def _changes(name: str, at: int) -> list[int]:
    """After how many days the clocks change within a year, and the day before."""
    today = at - at % DAY
    offsets = [offset_at(name, today + day * DAY) for day in range(371)]
    return [
        each for day, (one, other) in enumerate(pairwise(offsets)) if one != other
        for each in (day, day + 1)
    ]  # fmt: skip
