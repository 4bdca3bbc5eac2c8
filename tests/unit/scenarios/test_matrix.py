from __future__ import annotations

from policies.scenarios.parse import read_scenarios
from policies.scenarios.run import run_file

TEXT = """
policy = "default"
[[scenario]]
name = "nights are quiet"
contact = { last_inbound = "1h ago" }
message = { category = "promotional" }
[scenario.matrix]
at = [2026-05-06T21:30:00+02:00, 2026-12-24T03:00:00+01:00]
timezone = ["Europe/Berlin", ["Europe/Rome", "Europe/Paris"]]
[scenario.expect]
verdict = "defer"
because = ["quiet_hours"]
"""


def test_each_combination_is_a_result_of_its_own() -> None:
    results = run_file(read_scenarios(TEXT, "t"))
    assert [result.scenario.name for result in results] == [
        "nights are quiet [at=2026-05-06T21:30:00+02:00, timezone=Europe/Berlin]",
        "nights are quiet [at=2026-05-06T21:30:00+02:00, timezone=[Europe/Rome, Europe/Paris]]",
        "nights are quiet [at=2026-12-24T03:00:00+01:00, timezone=Europe/Berlin]",
        "nights are quiet [at=2026-12-24T03:00:00+01:00, timezone=[Europe/Rome, Europe/Paris]]",
    ]
    assert all(result.passed for result in results)
    # What is said as "1h ago" counts from each combination's own instant.
    assert {result.scenario.steps[0].at - (result.scenario.facts.last_inbound or 0) for result in results} == {3600}


def test_a_combination_overrides_the_defaults_and_may_vary_contact_and_message() -> None:
    head = 'policy = "platform-only"\n[defaults.contact]\nblocked = true\ncountry = "US"\n'
    text = (
        '[[scenario]]\nname = "s"\nat = 2026-05-06T12:00:00Z\nexpect = { reason = "window_closed" }\n'
        'matrix = { blocked = [true, false], category = ["service"], tokens = [[], [{ kind = "marketing" }]] }'
    )
    results = run_file(read_scenarios(head + text, "t"))
    assert [(result.scenario.name, result.passed) for result in results] == [
        ("s [blocked=true, category=service, tokens=[]]", False),
        ("s [blocked=true, category=service, tokens=[{kind=marketing}]]", False),
        ("s [blocked=false, category=service, tokens=[]]", True),
        ("s [blocked=false, category=service, tokens=[{kind=marketing}]]", True),
    ]
    assert {result.scenario.facts.country for result in results} == {"US"}


def test_a_timeline_may_move_with_the_matrix() -> None:
    text = """
policy = "platform-only"
[[scenario]]
name = "a day later the window is closed"
contact = { last_inbound = "1s ago" }
matrix = { at = [2026-03-28T12:00:00Z, 2026-10-24T12:00:00Z] }
expect = { verdict = "send" }
  [[scenario.step]]
  at = "in 24h"
  expect = { verdict = "deny", reason = "window_closed" }
"""
    assert [result.passed for result in run_file(read_scenarios(text, "t"))] == [True, True]
