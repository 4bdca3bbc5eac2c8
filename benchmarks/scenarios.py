"""What a scenario costs ``duly policy test`` to read, run and report on one core, against the least it could cost.

The floor reads the same text with ``tomllib`` and takes the same decisions, without checking, comparing or reporting
anything. Both run in one process, in turns; the ratio is what counts, the machine's speed cancels out.
"""

from __future__ import annotations

import statistics
import time
import tomllib
from collections.abc import Callable
from random import Random

from policies.engine import decide
from policies.facts import Facts
from policies.policy import Policy
from policies.scenarios.parse import read_scenarios
from policies.scenarios.report import failure_text, summary
from policies.scenarios.run import run_all

_SCENARIOS = 5_000
_ROUNDS = 5
#: What is asked of the product.
_WANTED = 2_000

_ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
)
_COUNTRIES = ("US", "DE", "JP", "AU", "BR", "NP")


def _text(count: int) -> str:
    """So many results: single ones, timelines and matrices, in and out of quiet hours; one in fifty fails."""
    random = Random(1)
    parts = ['policy = "default"\n[defaults.contact]\ntimezone = "America/New_York"\nlocale = "en_US"\n']
    made = 0
    while made < count:
        place = random.randrange(len(_ZONES))
        day, hour = f"2026-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}", random.randrange(24)
        where = f'timezone = "{_ZONES[place]}", country = "{_COUNTRIES[place]}"'
        contact = f'{where}, last_inbound = "{random.randrange(1, 26)}h ago"'
        head = f'\n[[scenario]]\nname = "number {made}"\ncontact = {{ {contact} }}\n'
        at = f"{day}T{hour:02d}:00:00Z"
        kind = random.randrange(10)
        if kind == 0:
            other = f"{day}T{(hour + 7) % 24:02d}:30:00Z"
            head += f'matrix = {{ at = [{at}, {other}], category = ["promotional", "utility"] }}\n'
            head += 'expect = { wakes_on = "none" }\n'
            made += 4
        elif kind < 4:
            head += f"""at = {at}
history = [{{ at = "30h ago", category = "promotional" }}, {{ at = "3d ago", category = "utility" }}]
  [[scenario.step]]
  at = "in 1m"
  event = "opt_out"
  expect = {{ verdict = "deny", because = ["suppression"], reason = "opted_out" }}
  [[scenario.step]]
  at = "in 2h"
  event = "opt_in"
  [[scenario.step]]
  at = "in 3h"
  event = "inbound"
  expect = {{ wakes_on = "none" }}
"""
            made += 1
        else:
            expect = 'verdict = "deny", ground = "recurring"' if random.random() < 0.03 else 'wakes_on = "none"'
            head += f'at = {at}\nmessage = {{ category = "promotional", topic = "news" }}\nexpect = {{ {expect} }}\n'
            made += 1
        parts.append(head)
    return "".join(parts)


def _product(text: str) -> int:
    file = read_scenarios(text, "benchmark.scenarios.toml")
    results = list(run_all(file.scenarios))
    told = [failure_text(result) for result in results if not result.passed]
    told.append(summary(results, 1))
    return len(results)


def _floor(text: str, asked: list[tuple[Policy, Facts, int]]) -> int:
    tomllib.loads(text)
    for policy, facts, now in asked:
        decide(policy, facts, now)
    return len(asked)


def _seconds(work: Callable[[], int]) -> float:
    # Of this process alone: whoever else uses the machine is not measured.
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    text = _text(_SCENARIOS)
    file = read_scenarios(text, "benchmark.scenarios.toml")
    asked: list[tuple[Policy, Facts, int]] = []
    results = list(run_all(file.scenarios, lambda policy, facts, now: asked.append((policy, facts, now))))
    failed = sum(not result.passed for result in results)
    whole, floor = [], []
    for _ in range(_ROUNDS):
        whole.append(_seconds(lambda: _product(text)))
        floor.append(_seconds(lambda: _floor(text, asked)))
    rate = len(results) / statistics.median(whole)
    ratio = statistics.median(mine / least for mine, least in zip(whole, floor, strict=True))
    print(
        f"{len(results):,} scenarios of {len(text) / len(results):,.0f} bytes: {len(asked):,} decisions, {failed} fail"
    )
    print(f"read, run and reported   {rate:,.0f} a second ({_WANTED:,} wanted)")
    print(f"against the floor        {ratio:.2f} times tomllib and the bare decisions")


if __name__ == "__main__":
    main()
