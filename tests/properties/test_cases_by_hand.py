"""Both readings of the rules against cases whose answers were worked out by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from policies.engine import decide
from policies.facts import Facts, Send
from tests.properties.agreement import differences
from tests.properties.naive import Naive, Reading
from tests.properties.random_documents import both, known_policies


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
            "timezones": ("Atlantic/Reykjavik",), "last_inbound": "2026-05-05T11:00Z",
            "sends": (Send(at=utc("2026-05-04T12:00Z"), category="promotional"),),
        }, "2026-05-05T11:59:59Z",
        ("defer", "2026-05-05T12:00Z", "2026-05-05T21:00Z", "2026-05-06T10:55Z", ("frequency_cap",), "frequency_cap"),
    ),
    "the first second after a cap": (
        "default", {
            "timezones": ("Atlantic/Reykjavik",), "last_inbound": "2026-05-05T11:00Z",
            "sends": (Send(at=utc("2026-05-04T12:00Z"), category="promotional"),),
        }, "2026-05-05T12:00Z",
        ("send", "2026-05-05T12:00Z", "2026-05-05T21:00Z", "2026-05-06T10:55Z", (), None),
    ),
    "the last second before the margin": (
        "default", {"timezones": ("Atlantic/Reykjavik",), "last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T11:54:59Z",
        ("send", "2026-05-05T11:54:59Z", "2026-05-05T11:55Z", "2026-05-05T11:55Z", (), None),
    ),
    "the first second of the margin": (
        "default", {"timezones": ("Atlantic/Reykjavik",), "last_inbound": "2026-05-04T12:00Z"}, "2026-05-05T11:55Z",
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
    policy, document = known_policies().get(text) or both(text)
    facts = Facts(**(known | {"last_inbound": utc(str(known["last_inbound"]))}))  # type: ignore[arg-type]
    ground = "standard_window" if at else None
    expected = Reading(
        verdict, at and utc(at), ground, closes_at and utc(closes_at), deadline and utc(deadline), because,
        frozenset({reason}),
    )  # fmt: skip
    assert differences(decide(policy, facts, utc(now)), expected) == []
    assert Naive(document, facts, utc(now), 0).decide() == expected


def test_what_suits_every_candidate_must_last() -> None:
    # Open until 12:10 in UTC, from 12:00Z in the other zone: ten minutes in common, every day.
    text, noon = hours("08:00-12:10"), utc("2026-05-05T12:00Z")
    policy, document = both(text)
    facts = Facts(timezones=("Atlantic/Reykjavik", "America/Caracas"), last_inbound=noon)
    for remaining, verdict in ((599, "send"), (600, "deny")):
        decided = decide(policy, facts, noon, min_remaining=remaining)
        assert (decided.verdict, decided.because) == (verdict, () if verdict == "send" else ("unknown_zone",))
        assert differences(decided, Naive(document, facts, noon, remaining).decide()) == []
