"""What a scenario says becomes the facts it is run with, key by key."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from policies import grounds
from policies.facts import Consent, Facts, Send, Token
from policies.policy import load_policy, parse_policy
from policies.scenarios.model import Scenario
from policies.scenarios.parse import load_scenarios, read_scenarios
from policies.scenarios.run import run_file, run_scenario
from policies.scenarios.vocabulary import GROUNDS, REASONS


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


NOW = at("2026-05-06T12:00:00Z")


def read(text: str, *, head: str = "") -> list[Scenario]:
    return list(read_scenarios(f'policy = "platform-only"\n{head}\n{text}', "t.scenarios.toml").scenarios)


def one(keys: str, *, head: str = "") -> Scenario:
    begun = '[[scenario]]\nname = "s"\nat = 2026-05-06T12:00:00Z\nexpect = { verdict = "send" }\n'
    (found,) = read(begun + keys, head=head)
    return found


def facts(keys: str, *, head: str = "") -> Facts:
    return one(keys, head=head).facts


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("timezone = 'Europe/Berlin'", "timezones", ("Europe/Berlin",)),
        ("timezone = ['Europe/Berlin', 'Europe/Paris']", "timezones", ("Europe/Berlin", "Europe/Paris")),
        ("timezone = []", "timezones", ()),
        ("utc_offset = -5", "utc_offset", -300),
        ("utc_offset = 5.75", "utc_offset", 345),
        ("country = 'DE'", "country", "DE"),
        ("region = 'US-FL'", "region", "US-FL"),
        ("locale = 'pt_BR'", "locale", "pt_BR"),
        ("last_inbound = 2026-05-06T10:00:00+02:00", "last_inbound", at("2026-05-06T08:00:00Z")),
        ("last_inbound = '90m ago'", "last_inbound", NOW - 5400),
        ("last_inbound = '1d2h3m4s ago'", "last_inbound", NOW - 93_784),
        ("last_inbound = '2w ago'", "last_inbound", NOW - 14 * 86_400),
        ("last_inbound = 'in 2s'", "last_inbound", NOW + 2),
        ("ad_inbound = '2d ago'", "ad_inbound", NOW - 2 * 86_400),
        ("opted_out = true", "opted_out", True),
        ("opted_out = ['news', 'offers']", "opted_out_topics", ("news", "offers")),
        ("opted_out_at = '1h ago'", "opted_out_at", NOW - 3600),
        ("blocked = true", "blocked", True),
        ("unreachable = true", "unreachable", True),
        ("erased = true", "erased", True),
        ("test_mode = true", "not_allowed", True),
        ("handover = true", "handover", True),
        ("handover = true", "handover_at", None),
        ("handover = '3h ago'", "handover", True),
        ("handover = '3h ago'", "handover_at", NOW - 3 * 3600),
        ("handover = false", "handover", False),
    ],
)
def test_a_key_of_the_contact_is_a_fact(key: str, field: str, value: object) -> None:
    assert getattr(facts(f"contact = {{ {key} }}"), field) == value


def test_consents_tokens_and_history_are_facts() -> None:
    found = facts(
        """
contact = { consents = [
    { kind = "express", granted_at = "10d ago", expires_at = "in 10d" },
    { kind = "night", topic = "news", granted_at = 2026-01-01T00:00:00Z },
  ], tokens = [
    { kind = "marketing" },
    { kind = "one_time", topic = "news", expires_at = "in 1h", last_used_at = "1h ago" },
  ] }
history = [
    { at = "1h ago", category = "service", ground = "standard_window" },
    { at = 2026-05-01T00:00:00Z, category = "promotional", confirms_opt_out = true },
]
""".replace("\n    {", " {").replace("\n  ]", " ]")
    )  # an inline table of TOML 1.0 is one line
    assert found.consents == (
        Consent(kind="express", granted_at=NOW - 864_000, expires_at=NOW + 864_000),
        Consent(kind="night", topic="news", granted_at=at("2026-01-01T00:00:00Z")),
    )
    assert found.tokens == (
        Token(kind="marketing"),
        Token(kind="one_time", topic="news", expires_at=NOW + 3600, last_used_at=NOW - 3600),
    )
    # In the order of time, whatever the order of the file.
    assert found.sends == (
        Send(at=at("2026-05-01T00:00:00Z"), category="promotional", confirms_opt_out=True),
        Send(at=NOW - 3600, category="service", ground="standard_window"),
    )


def test_the_message_and_the_switches_are_facts() -> None:
    found = facts(
        'message = { category = "utility", topic = "orders", not_before = "in 1h", expires_at = 2026-05-07T00:00:00Z, '
        "template_approved = true, confirms_opt_out = true }\n"
        'switches = ["kill_switch", "page_stopped", "campaign_paused", "contact_held"]'
    )
    assert found == Facts(
        category="utility", topic="orders", not_before=NOW + 3600, expires_at=at("2026-05-07T00:00:00Z"),
        template_approved=True, confirms_opt_out=True,
        kill_switch=True, page_stopped=True, campaign_paused=True, held=True,
    )  # fmt: skip


def test_what_is_left_out_is_as_facts_have_it() -> None:
    assert facts("") == Facts()


def test_defaults_are_merged_under_each_scenario_key_by_key() -> None:
    head = """
[defaults.contact]
timezone = "Europe/Berlin"
country = "DE"
last_inbound = "2h ago"
opted_out = true
[defaults.message]
category = "utility"
template_approved = true
[[defaults.history]]
at = "3h ago"
category = "service"
"""
    assert facts("", head=head) == Facts(
        timezones=("Europe/Berlin",), country="DE", last_inbound=NOW - 7200, opted_out=True,
        category="utility", template_approved=True, sends=(Send(at=NOW - 10_800, category="service"),),
    )  # fmt: skip
    own = 'contact = { timezone = [], opted_out = ["news"] }\nmessage = { category = "service" }\nhistory = []'
    assert facts(own, head=head) == Facts(
        country="DE", last_inbound=NOW - 7200, opted_out_topics=("news",), category="service", template_approved=True
    )


def test_ago_counts_from_at_or_else_from_the_first_step() -> None:
    step = '[[scenario.step]]\nat = 2026-05-07T12:00:00Z\nexpect = { verdict = "send" }\n'
    contact = "contact = { last_inbound = '1h ago' }\n"
    (found,) = read(f'[[scenario]]\nname = "s"\n{contact}{step}')
    assert found.facts.last_inbound == NOW + 23 * 3600
    (found,) = read(f'[[scenario]]\nname = "s"\nat = 2026-05-06T12:00:00Z\n{contact}{step}')
    assert found.facts.last_inbound == NOW - 3600
    # `at` alone is only what times are counted from.
    assert [each.at for each in found.steps] == [NOW + 86_400]


def test_a_step_may_stand_so_long_after_at() -> None:
    found = one('[[scenario.step]]\nat = "in 90m"\nevent = "block"')
    assert [(each.at, each.event) for each in found.steps] == [(NOW, None), (NOW + 5400, "block")]


def test_scenarios_know_their_lines() -> None:
    found = one('\n\n[[scenario.step]]\nat = "in 90m"\nevent = "block"')
    assert (found.line, [each.line for each in found.steps]) == (3, [3, 9])


def test_scenarios_of_an_inline_list_are_on_the_line_of_its_key() -> None:
    (found,) = read('scenario = [{ name = "s", at = 2026-05-06T12:00:00Z, expect = { verdict = "send" } }]')
    assert found.line == 3


def test_a_scenario_may_have_its_own_policy(tmp_path: Path) -> None:
    (tmp_path / "own.policy.toml").write_text('[policy]\nname = "own"\nextends = "default"\n')
    rest = 'at = 2026-05-06T12:00:00Z\nexpect = { verdict = "deny" }\n'
    file = tmp_path / "t.scenarios.toml"
    file.write_text(
        f'policy = "own.policy.toml"\n[[scenario]]\nname = "a"\n{rest}'
        f'[[scenario]]\nname = "b"\npolicy = "platform-only"\n{rest}'
    )
    assert [each.policy.name for each in load_scenarios(file).scenarios] == ["own", "platform-only"]
    own = f'policy = "default"\n{rest}'
    file.write_text(f'[[scenario]]\nname = "a"\n{own}[[scenario]]\nname = "b"\n{own}')
    first, second = load_scenarios(file).scenarios
    assert first.policy == load_policy("default")
    assert first.policy is second.policy


@pytest.mark.parametrize(
    ("expect", "passes"),
    [
        ('verdict = "defer"', True),
        ('verdict = "send"', False),
        ("until = 2026-05-07T08:00:00+02:00", True),
        ("until = 2026-05-07T08:00:01+02:00", False),
        ('until = "none"', False),
        ('ground = "standard_window"', True),
        ('ground = "none"', False),
        ("closes_at = 2026-05-07T17:55:00Z", True),
        ("closes_at = 2026-05-07T18:00:00Z", False),
        ("deadline = 2026-05-07T17:55:00Z", True),
        ('because = ["quiet_hours", "minimum_gap"]', False),
        ('because = ["quiet_hours"]', True),
        ("because = []", False),
        ('reason = "quiet_hours"', True),
        ('reason = "closed_day"', False),
        ('wakes_on = "none"', True),
        ('wakes_on = "handback"', False),
        ('verdict = "defer", reason = "closed_day"', False),
    ],
)
def test_an_expectation_is_compared_with_the_decision(expect: str, passes: bool) -> None:
    text = (
        'policy = "default"\n[[scenario]]\nname = "s"\nat = 2026-05-06T23:00:00+02:00\n'
        'contact = { timezone = "Europe/Berlin", country = "DE", last_inbound = 2026-05-06T18:00:00Z }\n'
        f"expect = {{ {expect} }}"
    )
    (result,) = run_file(read_scenarios(text, "t"))
    assert result.passed is passes


def test_rules_are_compared_as_a_set() -> None:
    head = '[[scenario]]\nname = "s"\nat = 2026-05-06T12:00:00Z\nhistory = [{ at = "1h ago", category = "service" }]\n'
    text = 'contact = { timezone = "UTC", last_inbound = "1h ago" }\nexpect = { because = %s }\n'
    gap = '[[minimum_gap]]\nid = "g"\nbetween = "2h"\n'
    cap = '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "3h"\n'
    scenario = read(head + text % '["frequency_cap", "minimum_gap"]')[0]
    scenario.policy = parse_policy(f'[policy]\nname = "p"\n{gap}{cap}', where="p")
    assert run_scenario(scenario).passed


def test_every_reason_and_ground_of_the_engine_may_be_expected() -> None:
    assert {ground.name for ground in grounds.GROUNDS} == set(GROUNDS)
    source = Path(__file__).parents[3] / "policies"
    text = "".join(path.read_text() for path in (*source.glob("rules/*.py"), source / "blame.py", source / "engine.py"))
    said = set(re.findall(r'reason="(\w+)"|return "(\w+)"$|Hold\("(\w+)"', text, re.MULTILINE))
    codes = {code for each in said for code in each if code}
    assert len(codes) > 10
    assert codes <= set(REASONS)
