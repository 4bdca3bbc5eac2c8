"""What a decision costs, against the least it could cost: a hand-written ``if`` chain over the same facts.

Both run in one process, in turns, on people in all zones; the ratio is what counts, the machine's speed cancels out.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from policies.engine import decide
from policies.facts import Facts, Send
from policies.local_time import offset_at, zone_names
from policies.policy import load_policy

_NOW = 1_795_262_400  # 2026-11-21 12:00 UTC
_PEOPLE = 20_000
_ROUNDS = 5
_DAY = 86_400


def _people(zones: list[str]) -> list[Facts]:
    random = Random(1)
    return [
        Facts(
            timezones=(random.choice(zones),),
            last_inbound=_NOW - random.randrange(30 * 3600),
            opted_out=random.random() < 0.02,
            sends=tuple(
                Send(at=_NOW - random.randrange(8 * _DAY), category="promotional") for _ in range(random.randrange(4))
            ),
        )
        for _ in range(_PEOPLE)
    ]


def _floor(offsets: dict[str, int]) -> Callable[[Facts], str]:
    """The window, opt-outs, both caps and the hours, spelt out: no next instant, no blame, no explanation."""
    window = _DAY - 300

    def verdict(facts: Facts) -> str:
        if facts.opted_out or facts.last_inbound is None or facts.last_inbound + window <= _NOW:
            return "deny"
        day = week = 0
        for send in facts.sends:
            if send.at + _DAY > _NOW:
                day += 1
            if send.at + 7 * _DAY > _NOW:
                week += 1
        if day >= 1 or week >= 3:
            return "defer"
        local = (_NOW + offsets[facts.timezones[0]]) % _DAY
        return "send" if 8 * 3600 <= local < 21 * 3600 else "defer"

    return verdict


def _microseconds(people: list[Facts], judge: Callable[[Facts], object]) -> float:
    began = time.perf_counter()
    for facts in people:
        judge(facts)
    return (time.perf_counter() - began) / len(people) * 1e6


def main() -> None:
    """Measure and print."""
    policy = load_policy("default")
    zones = [zone for zone in zone_names() if "/" in zone]
    floor = _floor({zone: offset_at(zone, _NOW) for zone in zones})
    everywhere, in_one = _people(zones), _people(["America/New_York"])

    def engine(facts: Facts) -> str:
        return decide(policy, facts, _NOW, min_remaining=2).verdict

    cold = _microseconds(everywhere, engine)
    rows = [
        (_microseconds(everywhere, floor), _microseconds(everywhere, engine), _microseconds(in_one, engine))
        for _ in range(_ROUNDS)
    ]
    least, mixed, single = (statistics.median(column) for column in zip(*rows, strict=True))
    verdicts = Counter(map(engine, everywhere))
    sys.stdout.write(
        f"{_PEOPLE} people in {len(zones)} zones, median of {_ROUNDS} rounds; "
        f"{', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))}\n"
        f"  if chain (verdict alone)            {least:8.2f} µs\n"
        f"  decide (next instant, blame)        {mixed:8.2f} µs   {mixed / least:5.1f} × the if chain\n"
        f"  decide, everybody in one zone       {single:8.2f} µs   all zones cost {mixed / single:.2f} × one\n"
        f"  decide, nothing memoised yet        {cold:8.2f} µs\n"
    )


if __name__ == "__main__":
    main()
