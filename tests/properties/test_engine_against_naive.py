"""The engine against a second, slow reading of the same specification, on random facts and on cases made by hand."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies.decision import Decision
from policies.engine import decide
from policies.facts import Facts, Send
from policies.policy import Policy, load_policy, parse_policy
from tests.properties.naive import DAY, HOUR, MINUTE, Document, Naive, Reading, all_zones, read, zone_tab

ROOT = Path(__file__).parents[2]
SHOP = """
[policy]
name = "shop"
jurisdictions = "legal"
[messaging_window]
margin = "10m"
[[permitted_hours]]
id = "doors"
daily = [["09:07", "12:30"], ["13:30", "24:00"]]
sat = [["00:00", "01:45"], ["02:15", "23:00"]]
sun = []
[[permitted_hours]]
id = "promotions"
applies_to = ["promotional", "service"]
daily = [["10:00", "21:00"]]
sun = [["10:00", "20:00"]]
[[frequency_cap]]
id = "each-day"
limit = 1
per = "day"
applies_to = ["promotional", "service"]
[[frequency_cap]]
id = "each-week"
limit = 3
per = "week"
[[frequency_cap]]
id = "rolling"
limit = 2
per = "30h"
[[minimum_gap]]
id = "breath"
between = "45m"
"""
HELD = """
[policy]
name = "held"
extends = "default"
[unknown_zone]
mode = "hold"
[[frequency_cap]]
id = "daily"
limit = 1
per = "day"
applies_to = ["promotional"]
[[minimum_gap]]
id = "gap"
between = "10m"
applies_to = ["promotional"]
"""
NEPAL = """
[policy]
name = "nepal"
extends = "default"
jurisdictions = "off"
[unknown_zone]
mode = "fallback"
zone = "Asia/Kathmandu"
[[permitted_hours]]
id = "house"
applies_to = ["promotional", "utility"]
mon = []
fri = [["00:00", "24:00"]]
sun = [["01:00", "03:00"], ["12:00", "24:00"]]
"""
CASES = 1050

#: Where clocks do odd things, where none do, and links; any zone of tzdata may come besides.
ZONES = (
    "America/New_York", "America/Los_Angeles", "America/Phoenix", "America/St_Johns", "America/Sao_Paulo",
    "Europe/Berlin", "Europe/London", "Europe/Dublin", "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll",
    "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati",
    "Pacific/Pago_Pago", "Asia/Kathmandu", "Asia/Calcutta", "Asia/Seoul", "Asia/Taipei", "Asia/Ho_Chi_Minh",
    "Asia/Gaza", "Asia/Beirut", "America/Santiago", "America/Havana", "America/Nuuk", "US/Eastern", "Etc/UTC",
    "Etc/GMT+12", "Europe/Amsterdam", "America/Scoresbysund",
)  # fmt: skip
COUNTRIES = ("US", "DE", "KR", "TH", "TW", "VN", "IN", "SA", "AU", "BR", "RU", "NP", "ES", "CL", "KI", "AQ", "FR")
REGIONS = ("US-FL", "US-TX", "US-OR", "US-CT", "US-CA", "US-MD", "US-KY", "US-OK", "DE-BY", "AU-NSW")
#: Days on which some clocks change, as month and day.
CHANGES = ((2, 14), (3, 9), (3, 28), (4, 5), (4, 26), (9, 6), (9, 27), (10, 4), (10, 26), (11, 2))


def instant(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def policies() -> dict[str, tuple[Policy, Document]]:
    """Each policy with the engine's reading of its text and the naive one."""
    default, platform = (ROOT / f"policies/builtin/{name}.policy.toml" for name in ("default", "platform-only"))
    return {
        "default": (load_policy("default"), read(default.read_text())),
        "platform-only": (load_policy("platform-only"), read(platform.read_text())),
        "shop": (parse_policy(SHOP, where="shop"), read(SHOP)),
        "held": (parse_policy(HELD, where="held"), read(HELD, read(default.read_text()))),
        "nepal": (parse_policy(NEPAL, where="nepal"), read(NEPAL, read(default.read_text()))),
    }


def place(chance: random.Random) -> dict[str, object]:
    """Evidence of where somebody is: the sort, then the value."""
    sort = chance.choices(
        ("zone", "candidates", "offset", "country", "region", "both", "region_offset", "none"),
        (34, 14, 12, 12, 10, 10, 5, 3),
    )[0]
    name = chance.choice(ZONES) if chance.random() < 0.7 else chance.choice(all_zones())
    country = chance.choice(COUNTRIES) if chance.random() < 0.8 else chance.choice(sorted(set(zone_tab().values())))
    region = chance.choice(REGIONS)
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
        return {"timezones": (name,), "country": country}
    if sort == "region_offset":
        return {"region": region, "utc_offset": offset}
    return {}


def around(chance: random.Random, now: int, spans: tuple[int, ...]) -> int:
    """An instant near ``now + span``: exactly there, a second beside it, or anywhere about."""
    return now + chance.choice(spans) + chance.choice((0, 0, -1, 1, chance.randint(-2 * HOUR, 2 * HOUR)))


def case(chance: random.Random) -> tuple[Facts, int, int]:
    month, day = chance.choice(CHANGES)
    now = instant(chance.randint(2024, 2030), month, day) + chance.randint(-3 * 96, 4 * 96) * 900
    now += chance.choice((0, 0, -1, 1, 7 * MINUTE, chance.randint(-900, 900)))
    facts = Facts(**place(chance))  # type: ignore[arg-type]  # the names are those of Facts
    facts.category = chance.choices(("promotional", "utility", "service"), (70, 20, 10))[0]
    facts.template_approved = chance.random() < 0.6
    if chance.random() < 0.93:
        spans = (0, -HOUR, -6 * HOUR, -12 * HOUR, -20 * HOUR, 5 * MINUTE - DAY)
        facts.last_inbound = min(now, around(chance, now, spans))
    if chance.random() < 0.45:
        spans = (0, -30 * MINUTE, -10 * MINUTE, -HOUR, -5 * HOUR, -DAY, -30 * HOUR, -3 * DAY, -7 * DAY)
        made = sorted(min(now, around(chance, now, spans)) for _ in range(chance.randint(1, 4)))
        facts.sends = tuple(
            Send(at=at, category=chance.choices(("promotional", "utility", "service"), (8, 2, 1))[0]) for at in made
        )
    if chance.random() < 0.2:
        facts.not_before = around(chance, now, (-HOUR, HOUR, 5 * HOUR, 12 * HOUR, DAY, 3 * DAY, 31 * DAY))
    if chance.random() < 0.25:
        facts.expires_at = around(chance, now, (0, HOUR, 3 * HOUR, 9 * HOUR, DAY, 2 * DAY, 10 * DAY, 40 * DAY))
    if chance.random() < 0.08:
        facts.topic, facts.opted_out_topics = "news", chance.choice((("news",), ("sport",), ("sport", "news")))
    for name, share in (
        ("opted_out", 0.02), ("blocked", 0.02), ("unreachable", 0.01), ("erased", 0.01), ("not_allowed", 0.01),
        ("handover", 0.05), ("held", 0.02), ("kill_switch", 0.04), ("campaign_paused", 0.03), ("page_stopped", 0.03),
    ):  # fmt: skip
        if chance.random() < share:
            setattr(facts, name, True)
    return facts, now, chance.choice((0, 0, 2000))


def differences(decided: Decision, expected: Reading) -> list[str]:
    found = [
        f"{name}: decided {getattr(decided, name)!r}, read {getattr(expected, name)!r}"
        for name in ("verdict", "at", "ground", "closes_at", "deadline", "because", "wakes_on")
        if getattr(decided, name) != getattr(expected, name)
    ]
    if decided.reason not in expected.reasons:
        found.append(f"reason: decided {decided.reason!r}, read {sorted(map(str, expected.reasons))}")
    return found


def expected_of(document: Document, facts: Facts, now: int, remaining: int) -> Reading:
    reading = Naive(document, facts, now, remaining).decide()
    if reading.verdict == "deny":
        reading.at = None
    return reading


def test_random_facts_are_decided_alike() -> None:
    known, chance, seen = policies(), random.Random(20261121), Counter[str]()
    for number in range(CASES):
        name = chance.choice(tuple(known))
        policy, document = known[name]
        facts, now, remaining = case(chance)
        decided = decide(policy, facts, now, min_remaining=remaining)
        expected = expected_of(document, facts, now, remaining)
        wrong = differences(decided, expected)
        assert not wrong, f"case {number}, {name}, now={now}, min_remaining={remaining}\n{facts}\n" + "\n".join(wrong)
        seen[decided.verdict] += 1
        seen[str(decided.reason)] += 1
    assert min(seen[verdict] for verdict in ("send", "defer", "deny")) > CASES / 10
    assert set(seen) >= {
        "opted_out", "blocked", "unreachable", "erased", "test_mode", "kill_switch", "page_stopped", "campaign_paused",
        "contact_held", "window_closed", "window_closes_in_quiet_hours", "window_closes_before_cap", "not_before",
        "expired", "handover", "minimum_gap", "frequency_cap", "quiet_hours", "closed_day", "unknown_zone",
    }  # fmt: skip


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def hours(*periods: str) -> str:
    rows = ", ".join('["{}", "{}"]'.format(*period.split("-")) for period in periods)
    return f'[policy]\nname = "t"\n[[permitted_hours]]\nid = "h"\ndaily = [{rows}]\n'


DAY_CAP = '[policy]\nname = "t"\n[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "day"\n'
#: What is known of the case, when it is, then: verdict, at, closes at, last permitted instant, blame, reason.
By = tuple[str, str | None, str | None, str | None, tuple[str, ...], str | None]
BY_HAND: dict[str, tuple[str, dict[str, object], str, By]] = {
    "Apia's evening of the 29th is followed by the morning of the 31st": (
        "default", {"timezones": ("Pacific/Apia",), "last_inbound": "2011-12-30T07:00Z"}, "2011-12-29T22:00-10:00",
        ("defer", "2011-12-31T08:00+14:00", "2011-12-31T06:55Z", "2011-12-31T06:55Z", ("quiet_hours",), "quiet_hours"),
    ),
    "Apia's next day begins at the leap": (
        DAY_CAP, {
            "timezones": ("Pacific/Apia",), "last_inbound": "2011-12-30T07:00Z",
            "sends": (Send(at=utc("2011-12-29T20:00-10:00"), category="promotional"),),
        }, "2011-12-29T22:00-10:00",
        ("defer", "2011-12-30T10:00Z", "2011-12-31T07:00Z", "2011-12-31T07:00Z", ("frequency_cap",), "frequency_cap"),
    ),
    "Lord Howe's half hour comes twice": (
        hours("01:30-02:00"), {"timezones": ("Australia/Lord_Howe",), "last_inbound": "2026-04-04T14:00Z"},
        "2026-04-04T14:00Z",
        ("defer", "2026-04-04T14:30Z", "2026-04-04T15:30Z", "2026-04-04T15:30Z", ("quiet_hours",), "quiet_hours"),
    ),
    "Lord Howe's half hour is skipped": (
        hours("02:10-03:00"), {"timezones": ("Australia/Lord_Howe",), "last_inbound": "2026-10-03T15:29Z"},
        "2026-10-03T15:29:59Z",
        ("defer", "2026-10-03T15:30Z", "2026-10-03T16:00Z", "2026-10-04T15:29Z", ("quiet_hours",), "quiet_hours"),
    ),
    "Kathmandu's quarter": (
        "default", {"timezones": ("Asia/Kathmandu",), "last_inbound": "2026-05-05T02:00Z"}, "2026-05-05T07:59:59+05:45",
        ("defer", "2026-05-05T02:15Z", "2026-05-05T15:15Z", "2026-05-05T15:15Z", ("quiet_hours",), "quiet_hours"),
    ),
    "Troll's two hours are skipped": (
        hours("02:00-04:00"), {"timezones": ("Antarctica/Troll",), "last_inbound": "2026-03-29T00:00Z"},
        "2026-03-29T00:59Z",
        ("defer", "2026-03-29T01:00Z", "2026-03-29T02:00Z", "2026-03-29T02:00Z", ("quiet_hours",), "quiet_hours"),
    ),
    "Troll's two hours come twice": (
        hours("01:00-03:00"), {"timezones": ("Antarctica/Troll",), "last_inbound": "2026-10-24T22:00Z"},
        "2026-10-24T22:00Z",
        ("defer", "2026-10-24T23:00Z", "2026-10-25T03:00Z", "2026-10-25T03:00Z", ("quiet_hours",), "quiet_hours"),
    ),
    "an hour inside a gap waits for the next day": (
        hours("02:15-02:45"), {"timezones": ("Europe/Berlin",), "last_inbound": "2026-03-29T00:30Z"},
        "2026-03-29T00:30Z",
        ("defer", "2026-03-30T00:15Z", "2026-03-30T00:30Z", "2026-03-30T00:30Z", ("quiet_hours",), "quiet_hours"),
    ),
    "an hour inside a fold comes twice": (
        hours("02:15-02:45"), {"timezones": ("Europe/Berlin",), "last_inbound": "2026-10-25T00:00Z"},
        "2026-10-25T00:20Z",
        ("send", "2026-10-25T00:20Z", "2026-10-25T00:45Z", "2026-10-25T01:45Z", (), None),
    ),
    "an edge inside a gap takes effect at the leap": (
        hours("02:30-04:00"), {"timezones": ("America/New_York",), "last_inbound": "2026-03-08T06:00Z"},
        "2026-03-08T06:59:59Z",
        ("defer", "2026-03-08T07:00Z", "2026-03-08T08:00Z", "2026-03-08T08:00Z", ("quiet_hours",), "quiet_hours"),
    ),
    "a country's hours are those of all its zones": (
        "default", {"country": "US", "last_inbound": "2026-05-05T13:00Z"}, "2026-05-05T09:00-04:00",
        ("defer", "2026-05-05T08:00-10:00", "2026-05-05T21:00-04:00", "2026-05-05T21:00-04:00", ("quiet_hours",),
         "quiet_hours"),
    ),
    "nothing tells the zone of a promotion": (
        "default", {"last_inbound": "2026-05-05T13:00Z"}, "2026-05-05T13:00Z",
        ("deny", None, None, None, ("unknown_zone",), "unknown_zone"),
    ),
    "nothing needs the zone of a service message": (
        "default", {"last_inbound": "2026-05-05T13:00Z", "category": "service"}, "2026-05-05T13:00Z",
        ("send", "2026-05-05T13:00Z", "2026-05-06T12:55Z", "2026-05-06T12:55Z", (), None),
    ),
    "the last second of a cap": (
        "default", {
            "timezones": ("Etc/UTC",), "last_inbound": "2026-05-05T11:00Z",
            "sends": (Send(at=utc("2026-05-04T12:00Z"), category="promotional"),),
        }, "2026-05-05T11:59:59Z",
        ("defer", "2026-05-05T12:00Z", "2026-05-05T21:00Z", "2026-05-06T10:55Z", ("frequency_cap",), "frequency_cap"),
    ),
    "the first second after a cap": (
        "default", {
            "timezones": ("Etc/UTC",), "last_inbound": "2026-05-05T11:00Z",
            "sends": (Send(at=utc("2026-05-04T12:00Z"), category="promotional"),),
        }, "2026-05-05T12:00Z",
        ("send", "2026-05-05T12:00Z", "2026-05-05T21:00Z", "2026-05-06T10:55Z", (), None),
    ),
    "the last second before the margin": (
        "default", {"timezones": ("Etc/UTC",), "last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T11:54:59Z",
        ("send", "2026-05-05T11:54:59Z", "2026-05-05T11:55Z", "2026-05-05T11:55Z", (), None),
    ),
    "the first second of the margin": (
        "default", {"timezones": ("Etc/UTC",), "last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T11:55Z",
        ("deny", None, None, None, ("messaging_window",), "window_closed"),
    ),
    "the last second of the window": (
        "platform-only", {"last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T11:59:59Z",
        ("send", "2026-05-05T11:59:59Z", "2026-05-05T12:00Z", "2026-05-05T12:00Z", (), None),
    ),
    "the end of the window": (
        "platform-only", {"last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T12:00Z",
        ("deny", None, None, None, ("messaging_window",), "window_closed"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("named", BY_HAND)
def test_cases_by_hand(named: str) -> None:
    text, known, now, (verdict, at, closes_at, deadline, because, reason) = BY_HAND[named]
    policy, document = policies().get(text) or (parse_policy(text, where="t"), read(text))
    facts = Facts(**(known | {"last_inbound": utc(str(known["last_inbound"]))}))  # type: ignore[arg-type]
    ground = "standard_window" if at else None
    expected = Reading(
        verdict, at and utc(at), ground, closes_at and utc(closes_at), deadline and utc(deadline), because,
        frozenset({reason}),
    )  # fmt: skip
    assert differences(decide(policy, facts, utc(now)), expected) == []
    assert expected_of(document, facts, utc(now), 0) == expected


def test_what_suits_every_candidate_must_last() -> None:
    # Open until 12:10 in UTC, from 12:00Z in the other zone: ten minutes in common, every day.
    text, noon = hours("08:00-12:10"), utc("2026-05-05T12:00Z")
    policy, document = parse_policy(text, where="t"), read(text)
    facts = Facts(timezones=("Etc/UTC", "Etc/GMT+4"), last_inbound=noon)
    for remaining, verdict in ((599, "send"), (600, "deny")):
        decided = decide(policy, facts, noon, min_remaining=remaining)
        assert (decided.verdict, decided.because) == (verdict, () if verdict == "send" else ("unknown_zone",))
        assert differences(decided, expected_of(document, facts, noon, remaining)) == []
