"""What an event of a timeline does to the facts, and what is decided after it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime

import pytest

from policies.confirmation import opted_out
from policies.facts import Consent, Facts, Send, Token
from policies.policy import load_policy, parse_policy
from policies.scenarios.events import apply, begin
from policies.scenarios.parse import read_scenarios
from policies.scenarios.report import failure_text
from policies.scenarios.run import run_file, run_scenario
from scheduler.consent.fold import Said, barred, bars, standing

NOW = int(datetime.fromisoformat("2026-05-06T12:00:00Z").timestamp())
DAY = 86_400
PLATFORM = load_policy("platform-only")


def after(event: str, topic: str | None = None, **known: object) -> Facts:
    facts = Facts(**known)  # type: ignore[arg-type]
    apply(event, topic, PLATFORM, facts, NOW, {})
    return facts


def test_an_inbound_opens_the_window_and_lifts_a_block_but_no_opt_out_and_no_handover() -> None:
    before = {
        "opted_out": True,
        "opted_out_topics": ("news",),
        "handover": True,
        "handover_at": NOW - 9,
        "erased": True,
    }
    facts = after("inbound", blocked=True, unreachable=True, **before)
    assert facts == Facts(last_inbound=NOW, **before)  # type: ignore[arg-type]


def test_an_opt_out_speaks_of_everything_or_of_one_topic() -> None:
    assert after("opt_out") == Facts(opted_out=True, opted_out_at=NOW)
    facts = after("opt_out", "news", opted_out_topics=("news", "offers"))
    assert facts == Facts(opted_out_topics=("offers", "news"), opted_out_at=NOW)


def test_an_opt_in_lifts_everything_or_one_topic_alone() -> None:
    opted_out = {"opted_out": True, "opted_out_topics": ("news", "offers"), "opted_out_at": NOW - 9}
    assert after("opt_in", **opted_out) == Facts()
    facts = after("opt_in", "news", **opted_out)
    assert facts == Facts(opted_out=True, opted_out_topics=("offers",), opted_out_at=NOW - 9)


def test_of_an_opt_out_and_an_opt_in_in_one_second_the_opt_out_counts_in_either_order() -> None:
    for events in (("opt_out", "opt_in"), ("opt_in", "opt_out")):
        for topic in (None, "news"):
            facts, said = Facts(), begin(Facts(), NOW)
            for event in events:
                apply(event, topic, PLATFORM, facts, NOW, said)
            assert facts.opted_out_at == NOW
            assert (facts.opted_out, facts.opted_out_topics) == (topic is None, ("news",) if topic else ())
            # A second later it may be lifted.
            apply("opt_in", topic, PLATFORM, facts, NOW + 1, said)
            assert (facts.opted_out, facts.opted_out_topics) == (False, ())


def test_an_opt_in_of_everything_leaves_the_opt_outs_of_its_own_second() -> None:
    facts, said = Facts(), begin(Facts(), NOW)
    apply("opt_out", "news", PLATFORM, facts, NOW - 1, said)
    apply("opt_out", "sale", PLATFORM, facts, NOW, said)
    apply("opt_in", None, PLATFORM, facts, NOW, said)
    assert facts == Facts(opted_out_topics=("sale",), opted_out_at=NOW)


@pytest.mark.parametrize(
    ("said", "lifted"), [("", True), ('opted_out_at = "1s ago"', True), ('opted_out_at = "0s ago"', False)]
)
def test_an_opt_out_that_the_scenario_begins_with_is_lifted_unless_it_is_of_the_same_second(
    said: str, lifted: bool
) -> None:
    contact = ", ".join(part for part in ('last_inbound = "1h ago"', "opted_out = true", said) if part)
    text = f"""
    policy = "platform-only"
    [[scenario]]
    name = "s"
    at = 2026-05-06T12:00:00Z
    contact = {{ {contact} }}
    [[scenario.step]]
    at = "0s ago"
    event = "opt_in"
    expect = {{ verdict = "{"send" if lifted else "deny"}" }}
    """
    assert run_scenario(read_scenarios(text, "t").scenarios[0]).passed


def test_a_block_and_a_handover_stand_until_they_end() -> None:
    assert after("block") == Facts(blocked=True)
    assert after("handover") == Facts(handover=True, handover_at=NOW)
    assert after("handback", handover=True, handover_at=NOW - 9) == Facts()


def test_a_send_counts_with_its_category_and_the_ground_then_in_force() -> None:
    facts = after("sent", last_inbound=NOW - 60, category="service", sends=(Send(at=NOW - 9, category="utility"),))
    assert facts.sends == (
        Send(at=NOW - 9, category="utility"),
        Send(at=NOW, category="service", ground="standard_window"),
    )
    assert after("sent").sends == (Send(at=NOW, category="promotional", ground=None),)


def test_a_send_in_the_night_has_its_ground_all_the_same() -> None:
    facts = Facts(timezones=("Europe/Berlin",), last_inbound=NOW)
    apply("sent", None, load_policy("default"), facts, NOW + 11 * 3600, {})
    assert facts.sends[0].ground == "standard_window"


def test_the_one_confirmation_of_an_opt_out_is_known_as_one() -> None:
    assert after("sent", category="service", confirms_opt_out=True).sends[0].confirms_opt_out


@pytest.mark.parametrize(
    ("tokens", "used"),
    [
        ((Token(kind="marketing"), Token(kind="marketing")), 0),
        ((Token(kind="marketing", topic="offers"), Token(kind="marketing", topic="news")), 1),
        ((Token(kind="marketing", expires_at=NOW - 1), Token(kind="marketing")), 1),
        # Preferred is the marketing token, wherever it stands.
        ((Token(kind="one_time", topic="news"), Token(kind="marketing")), 1),
        ((Token(kind="one_time"), Token(kind="one_time", topic="news")), 0),
        ((Token(kind="one_time", topic="news", last_used_at=NOW - DAY), Token(kind="one_time", topic="news")), 1),
        ((Token(kind="one_time", topic="offers"),), None),
    ],
)
def test_a_send_uses_the_first_token_that_is_its_ground(tokens: tuple[Token, ...], used: int | None) -> None:
    facts = Facts(tokens=tokens, topic="news", country="US")
    apply("sent", None, PLATFORM, facts, NOW, {})
    assert [place for place, each in enumerate(facts.tokens) if each.last_used_at == NOW] == (
        [] if used is None else [used]
    )


def test_a_send_in_the_window_uses_no_token() -> None:
    facts = after("sent", tokens=(Token(kind="marketing"),), last_inbound=NOW)
    assert facts.tokens == (Token(kind="marketing"),)


def test_a_recurring_token_that_rests_is_not_used_again() -> None:
    tokens = (Token(kind="recurring", last_used_at=NOW - DAY), Token(kind="recurring"))
    facts = after("sent", tokens=tokens, country="DE")
    assert facts.tokens == (tokens[0], Token(kind="recurring", last_used_at=NOW))
    assert facts.sends[0].ground == "recurring"


TIMELINE = """
policy = "platform-only"
[[scenario]]
name = "a conversation"
at = 2026-05-05T10:00:00+02:00
contact = { last_inbound = "1h ago" }
expect = { verdict = "send", ground = "standard_window" }
  [[scenario.step]]
  at = "in 1h"
  event = "opt_out"
  expect = { verdict = "deny", because = ["suppression"], reason = "opted_out" }
  [[scenario.step]]
  at = "in 2h"
  event = "opt_in"
  [[scenario.step]]
  at = 2026-05-05T13:00:00+02:00
  event = "handover"
  expect = { verdict = "defer", reason = "handover", wakes_on = "handback", until = "none" }
  [[scenario.step]]
  at = 2026-05-05T13:30:00+02:00
  event = "handback"
  expect = { verdict = "send" }
  [[scenario.step]]
  at = 2026-05-06T13:30:00+02:00
  expect = { verdict = "deny", because = ["messaging_window"], reason = "window_closed" }
  [[scenario.step]]
  at = 2026-05-06T13:31:00+02:00
  event = "block"
  expect = { verdict = "deny", reason = "blocked" }
  [[scenario.step]]
  at = 2026-05-06T13:32:00+02:00
  event = "inbound"
  expect = { verdict = "send", closes_at = 2026-05-07T13:32:00+02:00 }
"""


def test_a_timeline_is_run_in_the_order_of_the_file_as_often_as_one_likes() -> None:
    file = read_scenarios(TIMELINE, "t.scenarios.toml")
    for _ in range(2):
        (result,) = run_file(file)
        assert result.passed, failure_text(result)
        assert len(result.checks) == 7


def test_the_event_of_a_step_comes_before_its_expectation_and_only_what_differs_is_told() -> None:
    text = TIMELINE.replace('expect = { verdict = "deny", reason = "blocked" }', 'expect = { verdict = "send" }')
    (result,) = run_file(read_scenarios(text, "t.scenarios.toml"))
    wrong = [check for check in result.checks if check.differences]
    assert [(check.step.event, [each.field for each in check.differences]) for check in wrong] == [
        ("block", ["verdict"])
    ]
    told = failure_text(result)
    assert told.startswith("t.scenarios.toml:3: a conversation (policy platform-only)\n")
    assert "at 2026-05-06T11:31:00Z (line 26), after `block`" in told
    assert "verdict    expected send, got deny" in told
    assert "forbids    suppression: the contact blocked the page" in told


def test_a_cap_counts_what_the_timeline_sent() -> None:
    text = """
policy = "default"
[[scenario]]
name = "one a day"
contact = { timezone = "UTC", last_inbound = 2026-05-05T11:00:00Z }
  [[scenario.step]]
  at = 2026-05-05T12:00:00Z
  event = "sent"
  [[scenario.step]]
  at = 2026-05-05T12:00:01Z
  expect = { verdict = "deny", reason = "window_closes_before_cap" }
"""
    (result,) = run_file(read_scenarios(text, "t"))
    assert result.passed, failure_text(result)


def test_a_scenario_takes_the_decision_for_the_instant_alone_without_the_send_guard() -> None:
    text = """
policy = "platform-only"
[[scenario]]
name = "to the last second"
at = 2026-05-06T11:59:59Z
contact = { last_inbound = 2026-05-05T12:00:00Z }
expect = { verdict = "send" }
"""
    assert run_file(read_scenarios(text, "t"))[0].passed


def test_a_rule_that_fails_is_told_as_a_failure_of_the_scenario() -> None:
    text = '[[scenario]]\nname = "s"\nat = 2026-05-06T12:00:00Z\nexpect = { verdict = "send" }\n'
    scenario = read_scenarios(f'policy = "platform-only"\n{text}', "t").scenarios[0]
    scenario.policy = parse_policy(
        '[policy]\nname = "p"\n[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "21:00"]]', where="p"
    )
    scenario.facts.last_inbound = "yesterday"  # type: ignore[assignment]  # no file can say so
    result = run_scenario(scenario)
    assert "reason rule_error" in failure_text(result)


def test_a_send_under_a_ground_that_fails_has_none() -> None:
    facts = Facts(timezones=(7,), last_inbound=NOW)  # type: ignore[arg-type]
    apply("sent", None, PLATFORM, facts, NOW, {})
    assert facts.sends == (Send(at=NOW, category="promotional", ground=None),)


def test_what_people_say_counts_as_in_the_product() -> None:
    chance = random.Random(7)
    topics: tuple[str | None, ...] = (None, "news", "sale")
    for _ in range(400):
        rows: list[Said] = []
        consents: list[Consent] = []
        # Whatever was agreed to, before and in between; consents of the future are known from the beginning.
        for number in range(chance.randint(0, 4)):
            granted, topic = NOW + chance.randint(-50, 50) * 2 + 1, chance.choice(topics)
            consents.append(Consent(topic=topic, kind="express", granted_at=granted, expires_at=granted + number))
            rows.append(
                Said(
                    id=number, action="granted", source="api", occurred_at=granted, recorded_at=granted, topic=topic,
                    kind="express", expires_at=granted + number,
                )
            )  # fmt: skip
        facts = Facts(consents=tuple(consents), country=chance.choice(("DE", "US", None)))
        said: dict[str | None, int] = {}
        said_at = NOW
        for number in range(chance.randint(1, 6)):
            action, topic = chance.choice(("opt_out", "opt_in")), chance.choice(topics)
            # In order, and often several in one second.
            said_at += chance.choice((0, 0, 2))
            apply(action, topic, PLATFORM, facts, said_at, said)
            rows.append(
                Said(
                    id=100 + number, action=action, source="message", occurred_at=said_at, recorded_at=said_at,
                    topic=topic,
                )
            )  # fmt: skip
        bars_now = bars(rows)
        for topic in (*topics, "other"):
            asked = replace(facts, topic=topic)
            barred_there = barred(bars_now, topic=topic, category="promotional")
            assert (barred_there is not None) is opted_out(asked), rows
        left = {(each.topic, each.granted_at, each.expires_at) for each in standing(rows)}
        assert {(each.topic, each.granted_at, each.expires_at) for each in facts.consents} == left, rows
