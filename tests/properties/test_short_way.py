"""The short way to a decision takes the same decisions as the general path, on random facts of every sort."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from policies.binding import binding_of
from policies.case import case_of
from policies.decision import Decision
from policies.engine import decide, judge
from policies.facts import CATEGORIES, Consent, Facts, Planned, Send, Token
from policies.intervals import usable
from policies.local_time import zone_names
from policies.policy import Policy, load_policy, parse_policy
from policies.quick import decide_plain
from policies.rules import messaging_window
from policies.rules.holds import HOLDS

HOUR, DAY = 3600, 86_400
GROUNDS = ("standard_window", "utility_template", "marketing_token", "recurring", "one_time_token")
CASES = 12_000
CLOSE_CASES = 8_000

HOUSE = """
[policy]
name = "house"
jurisdictions = "legal"
[messaging_window]
margin = "10m"
click_to_messenger = true
[[permitted_hours]]
id = "doors"
daily = [["09:07", "12:30"], ["13:30", "24:00"]]
sat = [["00:00", "01:45"], ["02:15", "23:00"]]
sun = []
holiday = []
holidays = "contact"
[[frequency_cap]]
id = "each"
limit = 2
per = "30h"
[[frequency_cap]]
id = "promotions"
limit = 1
per = "9h"
applies_to = ["promotional", "service"]
[[minimum_gap]]
id = "breath"
between = "45m"
[[minimum_gap]]
id = "pause"
between = "3h"
applies_to = ["promotional"]
[handover]
timeout = "2d"
"""
CALENDAR = """
[policy]
name = "calendar"
extends = "default"
[[frequency_cap]]
id = "daily"
limit = 1
per = "day"
"""
ASKING = '[policy]\nname = "asking"\nextends = "default"\n[consent]\nrequire = "packs"\n'
HELD = '[policy]\nname = "held"\nextends = "default"\n[unknown_zone]\nmode = "hold"\n'
GAPS = '[policy]\nname = "gaps"\n[[minimum_gap]]\nid = "a"\nbetween = "26h"\n[[permitted_hours]]\nid = "h"\nmon = []\n'
POLICIES: tuple[Policy, ...] = (
    load_policy("default"),
    load_policy("platform-only"),
    *(parse_policy(text, where="t") for text in (HOUSE, CALENDAR, ASKING, HELD, GAPS)),
)
PLACES: tuple[dict[str, object], ...] = (
    {"timezones": ("America/New_York",)},
    {"timezones": ("Europe/Berlin",), "country": "DE"},
    {"timezones": ("Asia/Kolkata", "Asia/Bangkok")},
    {"timezones": ("Asia/Seoul",)},
    {"region": "US-FL"},
    {"region": "US-LA"},
    {"country": "US"},
    {"country": "AU"},
    {"utc_offset": 120},
    {},
)
#: Everything lasts whole hours, so that what happens on the hour ends together with something else.
HOURLY = """
[policy]
name = "hourly"
[messaging_window]
margin = "1h"
[[permitted_hours]]
id = "day"
daily = [["06:00", "09:00"], ["12:00", "18:00"]]
[[frequency_cap]]
id = "a-promotion"
limit = 1
per = "3h"
applies_to = ["promotional"]
[[frequency_cap]]
id = "each"
limit = 2
per = "6h"
[[minimum_gap]]
id = "service"
between = "2h"
applies_to = ["service"]
[[minimum_gap]]
id = "each"
between = "1h"
[handover]
timeout = "4h"
"""
AT_ANY_HOUR = HOURLY.replace('[[permitted_hours]]\nid = "day"\ndaily = [["06:00", "09:00"], ["12:00", "18:00"]]\n', "")
HOURLY_CONSENT = HOURLY + '[consent]\nrequire = "packs"\n'
CLOSE: tuple[Policy, ...] = tuple(parse_policy(text, where="t") for text in (HOURLY, AT_ANY_HOUR, HOURLY_CONSENT))
#: When recurring tokens end in most of the world.
CHANGES = int(datetime(2026, 2, 10, tzinfo=UTC).timestamp())
INSTANTS = tuple(
    int(datetime(2026, month, day, hour, tzinfo=UTC).timestamp())
    for month, day, hour in (
        (1, 20, 9),
        (2, 10, 0),
        (3, 8, 5),
        (3, 29, 0),
        (7, 4, 15),
        (10, 25, 0),
        (11, 21, 12),
        (12, 24, 20),
    )
)


def near(chance: random.Random, now: int, *spans: int) -> int:
    return now + chance.choice(spans) + chance.choice((0, -1, 1, chance.randint(-2 * HOUR, 2 * HOUR)))


def someone(chance: random.Random, now: int) -> Facts:
    place = chance.choice(PLACES) if chance.random() < 0.5 else {"timezones": (chance.choice(zone_names()),)}
    facts = Facts(**place)
    facts.category = chance.choices(CATEGORIES, (6, 2, 1))[0]
    facts.topic = chance.choice((None, None, None, "news"))
    facts.template_approved = chance.random() < 0.4
    facts.may_wait = chance.random() < 0.4
    if chance.random() < 0.92:
        facts.last_inbound = near(chance, now, 0, -6 * HOUR, -12 * HOUR, -20 * HOUR, 600 - DAY, 300 - DAY, -DAY)
    if chance.random() < 0.55:
        spans = (-HOUR, -3 * HOUR, -9 * HOUR, -DAY, -26 * HOUR, -30 * HOUR, -3 * DAY, -7 * DAY, -29 * DAY)
        facts.sends = tuple(
            Send(
                at=near(chance, now, *spans),
                category=chance.choices(CATEGORIES, (6, 2, 1))[0],
                ground=chance.choice(("standard_window", "marketing_token")),
            )
            for _ in range(chance.randint(1, 5))
        )
    if chance.random() < 0.25:
        facts.not_before = near(chance, now, -HOUR, 0, HOUR, 12 * HOUR, DAY, 3 * DAY, 31 * DAY)
    if chance.random() < 0.25:
        facts.expires_at = near(chance, now, 0, HOUR, 9 * HOUR, DAY, 10 * DAY, 40 * DAY)
    if chance.random() < 0.05:
        facts.ad_inbound = near(chance, now, -DAY, -6 * DAY, -8 * DAY)
    if chance.random() < 0.5:
        facts.consents = tuple(consent(chance, now) for _ in range(chance.choice((1, 1, 2))))
    if chance.random() < 0.4:
        facts.tokens = tuple(token(chance, now) for _ in range(chance.choice((1, 1, 2, 3))))
    if chance.random() < 0.05:
        facts.opted_out_topics = ("news",)
    if chance.random() < 0.1:
        facts.handover = True
        facts.handover_at = None if chance.random() < 0.2 else near(chance, now, 0, -HOUR, -DAY, -2 * DAY, -3 * DAY)
    for flag in (
        "opted_out", "blocked", "unreachable", "erased", "not_allowed", "held", "kill_switch", "campaign_paused",
        "page_stopped",
    ):  # fmt: skip
        if chance.random() < 0.01:
            setattr(facts, flag, True)
    if facts.opted_out and chance.random() < 0.5:
        facts.confirms_opt_out, facts.category = True, "service"
    return facts


def plan_ahead(chance: random.Random, facts: Facts, now: int) -> None:
    """Some of them have messages that are scheduled."""
    if chance.random() < 0.1:
        spans = (0, 0, HOUR, 2 * HOUR, 9 * HOUR, DAY, 3 * DAY)
        facts.planned = tuple(
            Planned(
                at=max(now, now + chance.choice(spans) + chance.choice((0, 0, -1, 1, chance.randint(-HOUR, HOUR)))),
                category=chance.choices(CATEGORIES, (6, 2, 1))[0],
            )
            for _ in range(chance.choice((1, 1, 2, 3)))
        )


def someone_close(chance: random.Random, now: int, remaining: int) -> Facts:
    """Somebody whose every instant is some hours from ``now``, or as much as a message must last from there."""

    def moment(first: int, last: int) -> int:
        return now + chance.randint(first, last) * HOUR + chance.choice((0, 0, 0, 0, remaining, -remaining, 1, -1))

    facts = Facts(
        **chance.choice(
            (
                {"timezones": ("Atlantic/Reykjavik",)},
                {"timezones": ("Atlantic/Reykjavik", "Asia/Tokyo")},
                {"country": "DE"},
            )
        )
    )
    facts.category = chance.choice(CATEGORIES)
    facts.template_approved = chance.random() < 0.2
    facts.may_wait = chance.random() < 0.3
    facts.last_inbound = moment(-25, -14)
    facts.sends = tuple(
        Send(at=moment(-7, -1), category=chance.choice(CATEGORIES), ground=chance.choice(GROUNDS))
        for _ in range(chance.choice((0, 0, 1, 2, 3)))
    )
    if chance.random() < 0.3:
        facts.sends = (*facts.sends, Send(at=moment(-25, -20), category="promotional", ground="marketing_token"))
    if chance.random() < 0.3:
        facts.not_before = moment(-1, 4)
    if chance.random() < 0.3:
        facts.expires_at = moment(0, 8)
    if chance.random() < 0.2:
        facts.handover, facts.handover_at = True, moment(-6, 0)
    if chance.random() < 0.6:
        facts.consents = tuple(
            Consent(kind=chance.choice(("express", "express", "implied")), granted_at=moment(-3, 0), expires_at=ends)
            for ends in chance.choices((None, moment(0, 6), moment(0, 6)), k=chance.choice((1, 2)))
        )
    if chance.random() < 0.6:
        facts.tokens = tuple(
            Token(
                kind=chance.choice(("marketing", "recurring", "recurring", "one_time")),
                expires_at=chance.choice((None, moment(0, 8), moment(0, 8))),
                last_used_at=chance.choice((None, moment(-49, -40))),
            )
            for _ in range(chance.choice((1, 2, 3)))
        )
    return facts


def consent(chance: random.Random, now: int) -> Consent:
    granted = now + chance.choice((-DAY, -DAY, -200 * DAY, -800 * DAY, HOUR))
    ends = near(chance, now, -HOUR, HOUR, 10 * DAY, 100 * DAY) if chance.random() < 0.4 else None
    kind = chance.choices(("express", "implied", "night"), (6, 3, 1))[0]
    topic = chance.choice((None, None, None, "news", "sport"))
    return Consent(kind=kind, topic=topic, granted_at=granted, expires_at=ends)


def token(chance: random.Random, now: int) -> Token:
    ends = near(chance, now, -HOUR, HOUR, 9 * HOUR, 3 * DAY, 40 * DAY) if chance.random() < 0.4 else None
    used = near(chance, now, 0, -HOUR, -DAY, -30 * HOUR, -2 * DAY) if chance.random() < 0.6 else None
    topic = chance.choice((None, None, None, "news", "sport"))
    kind = chance.choice(("marketing", "recurring", "one_time"))
    return Token(kind=kind, topic=topic, expires_at=ends, last_used_at=used)


@cache
def worked_out() -> list[tuple[Policy, Facts, int, int, Decision]]:
    """Random cases with what the general path decides: policy, facts, instant, how long it must last, decision."""
    chance, beside, found = random.Random(7), random.Random(8), []
    for _ in range(CASES):
        policy = chance.choice(POLICIES)
        now = chance.choice(INSTANTS) + chance.randint(-3 * 96, 3 * 96) * 900 + chance.choice((0, -1, 1))
        facts, remaining = someone(chance, now), chance.choice((0, 2, 2000))
        plan_ahead(beside, facts, now)
        found.append((policy, facts, now, remaining, judge(case_of(policy, facts, now, remaining))))
    for _ in range(CLOSE_CASES):
        policy, remaining = chance.choice(CLOSE), chance.choice((0, 1, HOUR, 2 * HOUR))
        now = INSTANTS[0] + chance.randint(0, 23) * HOUR
        facts = someone_close(chance, now, remaining)
        plan_ahead(beside, facts, now)
        found.append((policy, facts, now, remaining, judge(case_of(policy, facts, now, remaining))))
    return found


def none_alone(policy: Policy, facts: Facts, now: int, remaining: int) -> bool:
    """Whether each rule by itself leaves something, and only all of them together nothing."""
    case = case_of(policy, facts, now, remaining)
    span = ((now, max(case.horizon, now + remaining + 1)),)
    return all(usable(rule.narrow(case, span), remaining) for rule in (messaging_window.RULE, *HOLDS))


def why_not_plain(policy: Policy, facts: Facts, now: int, remaining: int, general: Decision) -> str | None:
    """Why the case may be left to the general path; None: it may not."""
    bound, kinds = binding_of(policy, facts), {each.kind for each in facts.tokens}
    nothing = general.verdict == "deny" or general.at is None
    return next(
        (
            reason
            for reason, is_so in {
                "it is held": facts.kill_switch or facts.page_stopped or facts.campaign_paused or facts.held,
                "the zone is awaited": bound.held,
                "handed over for good": facts.handover and None in (facts.handover_at, policy.handover_timeout),
                "calendar caps": bool(bound.calendar and (facts.sends or facts.planned)),
                "a send ahead of our clock": any(each.at > now for each in facts.sends),
                "planned messages that leave several stretches": any(each.at > now for each in facts.planned),
                "a consent ahead of our clock": any(each.granted_at > now for each in facts.consents),
                "a use ahead of our clock": any((each.last_used_at or 0) > now for each in facts.tokens),
                "a consent to the night": bound.lifted and any(each.kind == "night" for each in facts.consents),
                "rules about to change": "recurring" in kinds and CHANGES - 30 * DAY < now < CHANGES,
                "places that may not all ask for consent": (
                    facts.may_wait
                    and nothing
                    and "consent" in general.because
                    and not (bound.evidence == "timezone" and len(bound.zones) == len(facts.timezones) == 1)
                ),
                "no rule alone is to blame": general.verdict == "deny" and none_alone(policy, facts, now, remaining),
                "no instant suits all zones": bound.uncertain and nothing,
                "several stretches, all too short": bool(kinds & {"recurring", "marketing", "one_time"}) and nothing,
            }.items()
            if is_so
        ),
        None,
    )


def test_a_decision_is_the_general_one_whichever_way_it_goes() -> None:
    for policy, facts, now, remaining, general in worked_out()[::8]:
        assert decide(policy, facts, now, min_remaining=remaining) == general, (policy.name, now, remaining, facts)


def test_the_short_way_is_the_general_way() -> None:
    seen = Counter[str]()
    for number, (policy, facts, now, remaining, general) in enumerate(worked_out()):
        plain = decide_plain(policy, facts, now, remaining)
        if plain is None:
            reason = why_not_plain(policy, facts, now, remaining, general)
            assert reason is not None, (number, policy.name, now, remaining, facts, general)
            seen["not plain"] += 1
            seen[f"not plain: {reason}"] += 1
            continue
        assert plain == general, (number, policy.name, now, remaining, facts)
        seen[f"{plain.verdict} {plain.reason}"] += 1
        seen[f"{plain.verdict} on {plain.ground}"] += 1
        if plain.wakes_on == "inbound":
            seen[f"awaited, {plain.reason}"] += 1
        seen[f"{plain.verdict} for {len(plain.because)}"] += 1
        if any(each.at > now for each in facts.planned):
            seen[f"{plain.verdict} beside what is planned"] += 1
    # It is worth its while, and every shape of a plain decision came up.
    assert seen["not plain"] < (CASES + CLOSE_CASES) * 0.3
    assert set(seen) >= {
        "send None", "defer quiet_hours", "defer closed_day", "defer frequency_cap", "defer minimum_gap",
        "defer not_before", "defer handover", "defer window_closed", "deny window_closed",
        "deny window_closes_in_quiet_hours", "deny window_closes_before_cap", "deny not_before", "deny expired",
        "deny quiet_hours", "deny frequency_cap", "deny no_consent", "deny consent_expired", "deny opted_out",
        "awaited, window_closed", "awaited, window_closes_in_quiet_hours", "awaited, window_closes_before_cap",
        "deny blocked", "deny unreachable", "deny erased", "deny test_mode",
        "not plain: it is held", "not plain: rules about to change", "not plain: several stretches, all too short",
        *(f"{verdict} beside what is planned" for verdict in ("send", "defer", "deny")),
        *(f"{verdict} on {ground}" for verdict in ("send", "defer") for ground in GROUNDS),
        *(f"{verdict} for {number}" for verdict in ("defer", "deny") for number in (1, 2, 3)),
    }, sorted(seen)  # fmt: skip


def test_a_common_denial_is_the_same_object_for_all() -> None:
    policy, now = load_policy("platform-only"), INSTANTS[0]
    closed = [
        decide(policy, Facts(timezones=(zone,), last_inbound=now - 2 * DAY), now)
        for zone in ("Atlantic/Reykjavik", "Asia/Tokyo")
    ]
    assert closed[0] is closed[1]
    assert (closed[0].verdict, closed[0].reason, closed[0].because) == ("deny", "window_closed", ("messaging_window",))


def test_what_happens_this_very_second_is_plain() -> None:
    now = INSTANTS[6]
    cases = [
        (HOURLY, now, {"sends": (Send(at=now, category="promotional"),)}),
        (ASKING, now, {"consents": (Consent(kind="express", granted_at=now),)}),
        (ASKING, now, {"consents": tuple(Consent(kind="express", granted_at=now + each) for each in (-DAY, HOUR))}),
        (HOURLY, now, {"last_inbound": now + 30 * DAY - 23 * HOUR}),
        (HOURLY, now, {"country": "DE", "tokens": (Token(kind="recurring", last_used_at=now),)}),
        (HOURLY, now, {
            "tokens": (Token(kind="marketing"),),
            "sends": (Send(at=now, category="service", ground="marketing_token"),),
        }),
        # When the platform's rules change, and when that comes into sight.
        *(
            (HOURLY, at, {"tokens": (Token(kind="recurring"),), "country": country})
            for at in (CHANGES, CHANGES - 30 * DAY) for country in (None, "DE")
        ),
    ]  # fmt: skip
    for text, at, known in cases:
        policy, facts = (
            parse_policy(text, where="t"),
            Facts(**{"timezones": ("Atlantic/Reykjavik",), "last_inbound": at - DAY, **known}),
        )
        plain = decide_plain(policy, facts, at, 2)
        assert plain is not None, (at, known)
        assert plain == judge(case_of(policy, facts, at, 2)), (at, known)


def test_a_ground_that_ends_as_another_carries_on_is_not_the_one() -> None:
    # The window ends as the gap does, a token dies an hour later, another has rested by then: none lasts long enough
    # alone, all together do.
    now = INSTANTS[6] + 12 * HOUR
    facts = Facts(
        timezones=("Atlantic/Reykjavik",), country="DE", last_inbound=now - 22 * HOUR,
        sends=(Send(at=now, category="service", ground="standard_window"),),
        tokens=(
            Token(kind="recurring", expires_at=now + 2 * HOUR),
            Token(kind="recurring", last_used_at=now - 47 * HOUR),
            Token(kind="one_time", expires_at=now + 2 * HOUR),
        ),
    )  # fmt: skip
    policy = parse_policy(AT_ANY_HOUR, where="t")
    plain = decide_plain(policy, facts, now, 90 * 60)
    assert plain is not None
    assert plain == judge(case_of(policy, facts, now, 90 * 60))
    facts.tokens = (replace(facts.tokens[0]), Token(kind="recurring", last_used_at=now - 46 * HOUR))
    plain = decide_plain(policy, facts, now, 90 * 60)
    assert plain is not None
    assert plain == judge(case_of(policy, facts, now, 90 * 60))
    assert (plain.verdict, plain.at, plain.ground) == ("defer", now + HOUR, "recurring")


def test_a_window_that_is_too_short_by_a_second_is_to_blame_where_a_token_has_rested_later() -> None:
    now = INSTANTS[6] + 12 * HOUR
    facts = Facts(timezones=("Atlantic/Reykjavik",), country="DE", last_inbound=now - 22 * HOUR)
    facts.tokens = (Token(kind="recurring", last_used_at=now - 46 * HOUR),)
    for remaining, at, because in ((HOUR - 1, now, ()), (HOUR, now + 2 * HOUR, ("messaging_window",))):
        plain = decide_plain(parse_policy(AT_ANY_HOUR, where="t"), facts, now, remaining)
        assert plain is not None
        assert (plain.at, plain.because) == (at, because)
        assert plain == judge(case_of(parse_policy(AT_ANY_HOUR, where="t"), facts, now, remaining))
