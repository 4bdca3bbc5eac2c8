"""What a decision costs, against the least it could cost: a hand-written ``if`` chain over the same facts.

Both run in one process, in turns, on the same people; the ratio is what counts, the machine's speed cancels out. All
times are of the processor, not of the wall, so that what else the machine does hardly counts either. The
million is decided in a process of its own, so that its peak of memory is its own: plain rows are held, and what a row
says becomes ``Facts`` one by one, within the time that is measured, as the planner does it.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

from policies.case import case_of
from policies.engine import decide, judge
from policies.facts import Facts, Send
from policies.local_time import offset_at, zone_names
from policies.policy import Policy, load_policy

_NOW = 1_795_262_400  # 2026-11-21 12:00 UTC
_GUARD = 2
_PEOPLE = 20_000
_ROUNDS = 7
_DAY = 86_400
_MILLION = 1_000_000
_SINGLE = (
    "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "Europe/London", "Africa/Cairo", "Asia/Kolkata",
    "Asia/Tokyo", "Pacific/Auckland",
)  # fmt: skip

#: One person: zone, last inbound, opted out, instants of earlier promotions.
Row = tuple[tuple[str, ...], int, bool, tuple[int, ...]]
_Item = TypeVar("_Item")


def _rows(zones: Sequence[str], count: int) -> list[Row]:
    random = Random(1)
    stated = [(zone,) for zone in zones]
    return [
        (
            random.choice(stated),
            _NOW - random.randrange(30 * 3600),
            random.random() < 0.02,
            tuple(_NOW - random.randrange(8 * _DAY) for _ in range(random.randrange(4))),
        )
        for _ in range(count)
    ]


def _facts(row: Row) -> Facts:
    zones, last_inbound, opted_out, sends = row
    return Facts(
        timezones=zones,
        last_inbound=last_inbound,
        opted_out=opted_out,
        sends=tuple([Send(at=at, category="promotional") for at in sends]) if sends else (),
    )


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


def _microseconds(items: Sequence[_Item], judged: Callable[[_Item], object]) -> float:
    began = time.process_time()
    for item in items:
        judged(item)
    return (time.process_time() - began) / len(items) * 1e6


def _zones() -> list[str]:
    return [zone for zone in zone_names() if "/" in zone]


def measure_one() -> dict[str, float]:
    """One decision with next instant and blame: microseconds, and ratios in this run."""
    policy, zones = load_policy("default"), _zones()
    floor = _floor({zone: offset_at(zone, _NOW) for zone in zones})
    everywhere = [_facts(row) for row in _rows(zones, _PEOPLE)]
    # One zone at a time, of several around the world, so that the verdicts are as mixed.
    share = _PEOPLE // len(_SINGLE)
    in_one = [_facts(row) for zone in _SINGLE for row in _rows([zone], share)]

    def engine(facts: Facts) -> str:
        return decide(policy, facts, _NOW, min_remaining=_GUARD).verdict

    def general(facts: Facts) -> str:
        return judge(case_of(policy, facts, _NOW, _GUARD)).verdict

    cold = _microseconds(everywhere, engine)
    turns = [
        (
            _microseconds(everywhere, floor), _microseconds(everywhere, engine), _microseconds(in_one, engine),
            _microseconds(everywhere, general),
        )
        for _ in range(_ROUNDS)
    ]  # fmt: skip
    # Ratios are taken within a turn, so that what else the machine does hits both sides.
    return {
        "people": _PEOPLE,
        "zones": len(zones),
        **dict(sorted(Counter(map(engine, everywhere)).items())),
        "floor_us": statistics.median(turn[0] for turn in turns),
        "decide_us": statistics.median(turn[1] for turn in turns),
        "decide_times_floor": statistics.median(turn[1] / turn[0] for turn in turns),
        "all_zones_times_one": statistics.median(turn[1] / turn[2] for turn in turns),
        "general_path_us": statistics.median(turn[3] for turn in turns),
        "general_path_times_floor": statistics.median(turn[3] / turn[0] for turn in turns),
        "cold_us": cold,
    }


def measure_million() -> dict[str, float]:
    """Verdicts, reasons and first instants of a million people, and the cost per decision of fewer. For a child."""
    policy, zones = load_policy("default"), _zones()
    floor = _floor({zone: offset_at(zone, _NOW) for zone in zones})
    began = time.process_time()
    for zone in zones:
        decide(policy, Facts(timezones=(zone,), last_inbound=_NOW), _NOW, min_remaining=_GUARD)
    warm_up = time.process_time() - began
    rows = _rows(zones, _MILLION)
    gc.collect()
    gc.freeze()
    floor_seconds = _seconds(floor(_facts(row)) for row in rows)
    found: dict[str, float] = {"people": len(rows), "warm_up_seconds": warm_up, "floor_seconds": floor_seconds}
    sizes = (1_000, 10_000, 100_000, _MILLION)
    costs, floors = [], []
    for size in sizes:
        few = rows[:size]
        # Small ones again and again, so that each size is measured over as many decisions.
        rounds = max(1, 200_000 // size)
        costs.append(min(_decide_all(policy, few)[0] for _ in range(rounds)) / size * 1e6)
        floors.append(min(_seconds(floor(_facts(row)) for row in few) for _ in range(rounds)) / size * 1e6)
    seconds, verdicts, reasons, instants = _decide_all(policy, rows)
    found |= {f"us_each_of_{size}": cost for size, cost in zip(sizes, costs, strict=True)}
    found |= {
        "flat": max(costs) / min(costs),
        # Reading more memory costs the bare chain more, too.
        "floor_flat": max(floors) / min(floors),
        "seconds": seconds,
        "times_floor": seconds / floor_seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "verdicts": len(verdicts), "reasons": len(reasons), "instants": sum(1 for instant in instants if instant),
    }  # fmt: skip
    return found


def _decide_all(policy: Policy, rows: Sequence[Row]) -> tuple[float, list[str], list[str | None], array[int]]:
    verdicts: list[str] = []
    reasons: list[str | None] = []
    instants = array("q")
    began = time.process_time()
    for row in rows:
        decision = decide(policy, _facts(row), _NOW, min_remaining=_GUARD)
        verdicts.append(decision.verdict)
        reasons.append(decision.reason)
        instants.append(decision.at or 0)
    return time.process_time() - began, verdicts, reasons, instants


def _seconds(work: Iterable[object]) -> float:
    began = time.process_time()
    for _ in work:
        pass
    return time.process_time() - began


def main(arguments: Sequence[str]) -> None:
    """Measure and print; ``--json`` for machines."""
    if "--million" in arguments:
        sys.stdout.write(json.dumps(measure_million()))
        return
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.decisions", "--million"], check=True, stdout=subprocess.PIPE, text=True
    )
    one, million = measure_one(), json.loads(child.stdout)
    if "--json" in arguments:
        sys.stdout.write(json.dumps({"one": one, "million": million}, indent=2) + "\n")
        return
    sys.stdout.write(
        f"{one['people']} people in {one['zones']} zones, median of {_ROUNDS} rounds; "
        f"{one['send']} send, {one['defer']} defer, {one['deny']} deny\n"
        f"  if chain (verdict alone)            {one['floor_us']:8.2f} µs\n"
        f"  decide (next instant, blame)        {one['decide_us']:8.2f} µs   "
        f"{one['decide_times_floor']:5.1f} × the if chain (asked: at most 20)\n"
        f"  all zones against one zone          {'':8}      {one['all_zones_times_one']:5.2f} × (asked: at most 1.3)\n"
        f"  the general path                    {one['general_path_us']:8.2f} µs   "
        f"{one['general_path_times_floor']:5.1f} × the if chain\n"
        f"  decide, nothing memoised yet        {one['cold_us']:8.2f} µs\n"
        f"{million['people']} people from plain rows, one core, verdicts, reasons and instants kept\n"
        f"  if chain over the same rows         {million['floor_seconds']:8.2f} s\n"
        f"  decide                              {million['seconds']:8.2f} s    "
        f"{million['times_floor']:5.1f} × the if chain (asked: under 8 s)\n"
        f"  peak memory of that process         {million['peak_megabytes']:8.0f} MB   (asked: under 500 MB)\n"
        f"  each of 10³, 10⁴, 10⁵, 10⁶          "
        + " ".join(f"{million[f'us_each_of_{size}']:.2f}" for size in (1_000, 10_000, 100_000, _MILLION))
        + f" µs, the dearest {million['flat']:.2f} × the cheapest (the if chain: {million['floor_flat']:.2f} ×)\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
