"""Decisions a second, as the planner takes them: people in all zones, some of whom have been sent to before."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from zoneinfo import available_timezones

from policies.engine import decide
from policies.facts import Facts, Send
from policies.policy import load_policy

_NOW = 1_795_262_400  # 2026-11-21 12:00 UTC
_PEOPLE = 5_000
_ROUNDS = 4


def _people(seed: int) -> list[Facts]:
    random = Random(seed)
    zones = sorted(zone for zone in available_timezones() if "/" in zone)
    return [
        Facts(
            timezones=(random.choice(zones),),
            last_inbound=_NOW - random.randrange(30 * 3600),
            opted_out=random.random() < 0.02,
            sends=tuple(Send(at=_NOW - random.randrange(8 * 86_400), category="promotional")
                        for _ in range(random.randrange(4))),
        )
        for _ in range(_PEOPLE)
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    policy = load_policy("default")
    people = _people(seed=1)
    for number in range(_ROUNDS):
        began = time.perf_counter()
        verdicts = Counter(decide(policy, facts, _NOW + number, min_remaining=2).verdict for facts in people)
        took = time.perf_counter() - began
        shown = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        which = "cold" if number == 0 else "warm"
        print(f"decide, {which}: {len(people) / took:9,.0f} a second ({took / len(people) * 1e6:.1f} µs each; {shown})")


if __name__ == "__main__":
    main()
