"""Grounds beside the window: tokens, and the longer window after an advertisement."""

from __future__ import annotations

from datetime import datetime

import pytest

from policies.case import case_of
from policies.decision import Finding
from policies.engine import decide, judge, permitted
from policies.explain import explain
from policies.facts import Facts, Send, Token
from policies.forecast import forecast
from policies.policy import load_policy, parse_policy


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


HOUR, DAY = 3600, 86_400
NOON = at("2026-05-05T12:00:00Z")
REACH = NOON + 30 * DAY
PLATFORM = load_policy("platform-only")
ADS = parse_policy('[policy]\nname = "t"\n[messaging_window]\nmargin = "5m"\nclick_to_messenger = true\n', where="t")


def holder(*tokens: Token, **known: object) -> Facts:
    facts = Facts(timezones=("America/New_York",), country="US", tokens=tokens)
    for name, value in known.items():
        setattr(facts, name, value)
    return facts


def finding(facts: Facts, now: int = NOON) -> Finding:
    return next(found for found in explain(PLATFORM, facts, now)[1] if found.rule == "messaging_window")


MARKETING, RECURRING, ONE_TIME = (Token(kind=kind) for kind in ("marketing", "recurring", "one_time"))


def test_a_marketing_token_serves_at_any_time() -> None:
    decision = decide(PLATFORM, holder(MARKETING), NOON)
    assert (decision.verdict, decision.ground, decision.deadline) == ("send", "marketing_token", REACH)
    found = finding(holder(MARKETING))
    assert (found.clause, found.binds, found.numbers["ground"]) == (
        "platform.marketing_token", "platform", "marketing_token",
    )  # fmt: skip
    assert found.citation is not None
    assert found.citation.startswith("Marketing Messages API")
    assert "the marketing token serves" in found.words


@pytest.mark.parametrize("kind", ["marketing", "recurring", "one_time"])
def test_tokens_carry_promotions_alone(kind: str) -> None:
    for category in ("utility", "service"):
        facts = holder(Token(kind=kind), country="FR", category=category)
        assert decide(PLATFORM, facts, NOON).reason == "window_closed"
        assert finding(facts).words.endswith("carries promotional messages alone")


def test_a_marketing_token_rests_for_a_day_over_all_topics() -> None:
    used = Token(kind="marketing", topic="sport", last_used_at=NOON - HOUR)
    facts = holder(used, Token(kind="marketing", topic="news"), topic="news")
    decision = decide(PLATFORM, facts, NOON)
    assert (decision.verdict, decision.at, decision.because) == ("defer", NOON + 23 * HOUR, ("messaging_window",))
    assert (decision.ground, decision.reason) == ("marketing_token", "window_closed")
    assert finding(facts).words.endswith("the marketing token rests until 2026-05-06 07:00 EDT")
    assert finding(facts).clause == "platform.marketing_token"
    # What was sent on this ground counts too; what went in the window does not.
    for ground, verdict in (("marketing_token", "defer"), ("standard_window", "send")):
        sent = Send(at=NOON - HOUR, category="promotional", ground=ground)
        assert decide(PLATFORM, holder(MARKETING, sends=(sent,)), NOON).verdict == verdict


@pytest.mark.parametrize(
    ("place", "verdict"),
    [({"country": "DE"}, "deny"), ({"country": "GB"}, "deny"), ({"country": "KR"}, "deny"), ({"country": None}, "send"),
     ({"country": None, "timezones": ("Asia/Tokyo",)}, "deny"), ({"region": "AU-NSW"}, "deny"),
     ({"country": None, "timezones": ("America/New_York", "Europe/Paris")}, "deny"), ({"country": "CH"}, "send")],
)  # fmt: skip
def test_where_a_marketing_token_reaches(place: dict[str, object], verdict: str) -> None:
    known = {"timezones": ()} | place
    assert decide(PLATFORM, holder(MARKETING, **known), NOON).verdict == verdict


def test_what_does_not_reach_says_so() -> None:
    assert finding(holder(MARKETING, country="DE")).words.endswith("the marketing token does not reach people in DE")
    nowhere = finding(holder(RECURRING, timezones=(), country=None))
    assert nowhere.words.endswith("the recurring token does not reach people whose country is not known")


def test_a_recurring_token_serves_where_the_paid_ones_do_not() -> None:
    for country, verdict in (("DE", "send"), ("JP", "send"), ("US", "deny"), (None, "deny")):
        facts = holder(RECURRING, timezones=(), country=country)
        assert decide(PLATFORM, facts, NOON).verdict == verdict, country
    both = holder(RECURRING, timezones=("Europe/Paris", "America/New_York"), country=None)
    assert decide(PLATFORM, both, NOON).verdict == "deny"


def test_a_recurring_token_ends_on_its_date_elsewhere() -> None:
    date, now = at("2026-02-10T00:00:00Z"), at("2026-02-08T00:00:00Z")
    assert permitted(PLATFORM, holder(RECURRING), now) == ((now, date),)
    german = holder(RECURRING, timezones=("Europe/Berlin",), country="DE")
    assert permitted(PLATFORM, german, now) == ((now, now + 30 * DAY),)


def test_each_recurring_token_rests_for_itself() -> None:
    used = Token(kind="recurring", topic="sport", last_used_at=NOON - DAY)
    facts = holder(used, country="FR", topic="sport")
    assert decide(PLATFORM, facts, NOON).at == NOON + DAY
    facts.tokens = (used, Token(kind="recurring", topic="sport"))
    assert decide(PLATFORM, facts, NOON).ground == "recurring"


def test_a_one_time_token_serves_once_and_on_its_topic() -> None:
    asked = Token(kind="one_time", topic="boots", expires_at=NOON + DAY)
    decision = decide(PLATFORM, holder(asked, topic="boots"), NOON)
    assert (decision.verdict, decision.ground, decision.deadline) == ("send", "one_time_token", NOON + DAY)
    assert finding(holder(asked, topic="boots")).words.endswith("the one-time token serves until 2026-05-06 08:00 EDT")
    for topic in (None, "hats"):
        assert decide(PLATFORM, holder(asked, topic=topic), NOON).verdict == "deny"
    for topic in (None, "boots"):
        assert decide(PLATFORM, holder(ONE_TIME, topic=topic), NOON).verdict == "send"
    used = Token(kind="one_time", last_used_at=NOON - 300 * DAY)
    assert decide(PLATFORM, holder(used), NOON).verdict == "deny"
    assert finding(holder(used)).words.endswith("the one-time token was used, or is for another topic")


def test_an_expired_token_serves_nothing() -> None:
    facts = holder(Token(kind="marketing", expires_at=NOON), Token(kind="one_time", topic="x"))
    assert decide(PLATFORM, facts, NOON).verdict == "deny"
    assert "the marketing token expired at 2026-05-05 08:00 EDT" in finding(facts).words
    assert "the one-time token is for another topic" in finding(facts).words


def test_of_several_grounds_the_preferred_is_taken() -> None:
    facts = holder(ONE_TIME, RECURRING, MARKETING, country="CH", last_inbound=NOON - HOUR)
    assert decide(PLATFORM, facts, NOON).ground == "standard_window"
    facts.last_inbound = None
    assert decide(PLATFORM, facts, NOON).ground == "marketing_token"
    facts.country = "FR"
    facts.timezones = ("Europe/Paris",)
    assert decide(PLATFORM, facts, NOON).ground == "recurring"
    facts.tokens = (ONE_TIME,)
    assert decide(PLATFORM, facts, NOON).ground == "one_time_token"


def test_an_advertisement_opens_the_window_for_longer() -> None:
    wrote = at("2026-10-05T12:00:00Z")
    facts = holder(last_inbound=wrote, ad_inbound=wrote)
    end = wrote + 7 * DAY - 300
    assert permitted(ADS, facts, wrote) == ((wrote, end),)
    assert permitted(PLATFORM, facts, wrote) == ((wrote, wrote + DAY),)
    assert decide(ADS, facts, wrote + 3 * DAY).ground == "standard_window"
    found = next(each for each in explain(ADS, facts, wrote + 3 * DAY)[1] if each.rule == "messaging_window")
    assert found.words.endswith("(5m early, as the policy asks), 7d after a Click-to-Messenger advertisement")
    assert found.citation is not None
    assert "Click-to-Messenger" in found.citation
    # A message of today opens a window of its own; the longer one counts.
    facts.last_inbound = end
    assert permitted(ADS, facts, end) == ((end, end + DAY - 300),)
    facts.last_inbound = None
    assert decide(ADS, facts, wrote + 3 * DAY).verdict == "send"


def test_an_advertisement_before_the_platform_said_so_opens_a_day() -> None:
    wrote = at("2026-09-27T23:59:59Z")
    facts = holder(last_inbound=wrote, ad_inbound=wrote)
    assert permitted(ADS, facts, wrote) == ((wrote, wrote + DAY - 300),)
    facts.ad_inbound = wrote + 1
    assert permitted(ADS, facts, wrote + 1) == ((wrote + 1, wrote + 1 + 7 * DAY - 300),)


def test_one_service_message_may_confirm_an_opt_out() -> None:
    facts = Facts(last_inbound=NOON, opted_out=True, opted_out_at=NOON, category="service", confirms_opt_out=True)
    assert decide(PLATFORM, facts, NOON).verdict == "send"
    said = explain(PLATFORM, facts, NOON)[1][0]
    assert said.words == "the contact asked for no more messages; this one does nothing but confirm that"
    for changed in (
        {"category": "promotional"}, {"category": "utility"}, {"confirms_opt_out": False},
        {"sends": (Send(at=NOON, category="service", confirms_opt_out=True),)},
        {"opted_out_at": None}, {"opted_out_at": NOON - 300},
    ):  # fmt: skip
        refused = Facts(**{name: getattr(facts, name) for name in Facts.__slots__} | changed)
        assert decide(PLATFORM, refused, NOON).reason == "opted_out", changed
    refused.confirms_opt_out = True
    assert explain(PLATFORM, refused, NOON)[1][0].words.endswith("; only one service message may confirm it, within 5m")
    # An earlier opt-out's confirmation, or another service message, does not use it up.
    facts.sends = (
        Send(at=NOON - 1, category="service", confirms_opt_out=True), Send(at=NOON, category="service"),
    )  # fmt: skip
    assert decide(PLATFORM, facts, NOON).verdict == "send"
    # It is an exemption from opting out alone.
    for bar in ("blocked", "unreachable", "erased", "not_allowed"):
        setattr(facts, bar, True)
        assert decide(PLATFORM, facts, NOON).because == ("suppression",)
        setattr(facts, bar, False)
    facts.last_inbound = None
    assert decide(PLATFORM, facts, NOON).reason == "window_closed"


def test_the_confirmation_ends_five_minutes_after_the_opt_out() -> None:
    facts = Facts(last_inbound=NOON, opted_out=True, opted_out_at=NOON, category="service", confirms_opt_out=True)
    assert permitted(PLATFORM, facts, NOON) == ((NOON, NOON + 300),)
    assert decide(PLATFORM, facts, NOON + 299).verdict == "send"
    assert decide(PLATFORM, facts, NOON + 300).reason == "opted_out"
    # With seconds that it must have left, it is as the end of any message's own time.
    late = decide(PLATFORM, facts, NOON + 299, min_remaining=2)
    assert (late.verdict, late.because, late.reason) == ("deny", ("schedule",), "expired")
    said = next(found for found in explain(PLATFORM, facts, NOON)[1] if found.rule == "schedule")
    assert said.words.endswith(", because an opt-out is confirmed within 5m or not at all")
    assert said.numbers["expires_at"] == NOON + 300
    told = forecast(PLATFORM, facts, NOON, span=DAY)
    assert [(each.permitted, each.end - NOON, each.reason) for each in told.stretches] == [
        (True, 300, None), (False, DAY, "opted_out"),
    ]  # fmt: skip
    # Its own expiry may be sooner, and is then what is told.
    facts.expires_at = NOON + 60
    assert permitted(PLATFORM, facts, NOON) == ((NOON, NOON + 60),)
    # Whoever has not opted out gets it as any other message.
    facts.expires_at, facts.opted_out = None, False
    assert permitted(PLATFORM, facts, NOON) == ((NOON, NOON + DAY),)


def test_an_opt_out_of_a_topic_may_be_confirmed_too() -> None:
    facts = Facts(
        last_inbound=NOON, opted_out_at=NOON, opted_out_topics=("news",), topic="news", category="service",
        confirms_opt_out=True,
    )  # fmt: skip
    assert decide(PLATFORM, facts, NOON).verdict == "send"
    facts.confirms_opt_out = False
    assert decide(PLATFORM, facts, NOON).reason == "opted_out"


def test_the_ground_is_one_that_lasts_as_long_as_a_message_must() -> None:
    # The window ends at 13:00; the recurring token has rested.
    policy = parse_policy('[policy]\nname = "t"\n', where="t")
    token = Token(kind="recurring", last_used_at=NOON - 60 * HOUR)
    facts = Facts(timezones=("UTC",), country="DE", last_inbound=NOON - 23 * HOUR, tokens=(token,))

    def ground(remaining: int) -> str | None:
        return judge(case_of(policy, facts, NOON, remaining)).ground

    assert [ground(remaining) for remaining in (HOUR - 1, HOUR, 2 * HOUR)] == [
        "standard_window",
        "recurring",
        "recurring",
    ]
    # Where none lasts alone, though all together do, the first that holds; not one that has just ended.
    facts.tokens = (
        Token(kind="one_time", expires_at=NOON + 2 * HOUR),
        Token(kind="recurring", last_used_at=NOON - 47 * HOUR + HOUR // 2),
    )
    assert ground(3 * HOUR) == "standard_window"
    facts.sends = (Send(at=NOON, category="promotional", ground="standard_window"),)
    gap = parse_policy('[policy]\nname = "t"\n[[minimum_gap]]\nid = "g"\nbetween = "1h"\n', where="t")
    found = judge(case_of(gap, facts, NOON, HOUR + HOUR // 2))
    assert (found.verdict, found.at, found.ground) == ("defer", NOON + HOUR, "one_time_token")
