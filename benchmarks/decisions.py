"""What a decision costs, against the least it could cost: a hand-written ``if`` chain over the same facts.

Both run in one process, in turns, on the same people; the ratio is what counts, the machine's speed cancels out. All
times are of the processor, not of the wall, so that what else the machine does hardly counts either. The
million is decided in a process of its own, so that its peak of memory is its own: plain rows are held, and what a row
says becomes ``Facts`` one by one, within the time that is measured, as the planner does it.

All zones are held against one zone on the same people with the same decisions: each one's zone is replaced by one whose
clock and law are the same, and one zone is decided after the other. Sizes are held against each other in turns, each
turn over as many decisions of every size, so that no size is measured more luckily than another. What still grows is
memory: a million rows of plain facts do not stay near the processor as a thousand do, which costs the bare chain the
same in absolute terms. The collector of garbage has no part in it: nothing that is kept is tracked by it.
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

from benchmarks.production import measure_production
from benchmarks.turns import in_turns, microseconds
from policies.case import case_of
from policies.engine import decide, judge
from policies.facts import Facts, Send
from policies.local_time import offset_at, zone_names
from policies.plain import plain_of
from policies.policy import Policy, load_policy

_NOW = 1_795_262_400  # 2026-11-21 12:00 UTC
_GUARD = 2
_PEOPLE = 20_000
_ROUNDS = 7
_DAY = 86_400
_MILLION = 1_000_000
_SIZES = (1_000, 10_000, 100_000, _MILLION)

#: One person: zone, last inbound, opted out, instants of earlier promotions.
Row = tuple[tuple[str, ...], int, bool, tuple[int, ...]]


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


def _one_zone_at_a_time(policy: Policy, rows: Sequence[Row]) -> list[Row]:
    """The same people with the same decisions, each group of zones of the same clock and law become one zone."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(id(plain_of(policy, _facts(row), _NOW)), []).append(row)
    return [(group[0][0], *row[1:]) for group in groups.values() for row in group]


def _zones() -> list[str]:
    return [zone for zone in zone_names() if "/" in zone]


def measure_one() -> dict[str, float]:
    """One decision with next instant and blame: microseconds, and ratios in this run."""
    policy, zones = load_policy("default"), _zones()
    floor = _floor({zone: offset_at(zone, _NOW) for zone in zones})
    rows = _rows(zones, _PEOPLE)
    everywhere = [_facts(row) for row in rows]

    def engine(facts: Facts) -> str:
        return decide(policy, facts, _NOW, min_remaining=_GUARD).verdict

    def general(facts: Facts) -> str:
        return judge(case_of(policy, facts, _NOW, _GUARD)).verdict

    cold = microseconds(everywhere, engine)
    in_one = [_facts(row) for row in _one_zone_at_a_time(policy, rows)]
    assert Counter(map(engine, in_one)) == Counter(map(engine, everywhere))
    turns = in_turns(_ROUNDS, (everywhere, floor), (everywhere, engine), (in_one, engine), (everywhere, general))
    # Ratios are taken within a turn.
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
        **measure_production(zones),
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
    costs: dict[int, list[float]] = {size: [] for size in _SIZES}
    floors: dict[int, list[float]] = {size: [] for size in _SIZES}
    for turn in range(_MILLION // _SIZES[-2]):
        for size in _SIZES:
            # The million is taken in parts, one a turn; smaller ones again and again.
            start = turn * _SIZES[-2] if size == _MILLION else 0
            few = rows[start : start + min(size, _SIZES[-2])]
            rounds = _SIZES[-2] // len(few)
            costs[size].append(sum(_decide_all(policy, few)[0] for _ in range(rounds)) / _SIZES[-2] * 1e6)
            floors[size].append(
                sum(_seconds(floor(_facts(row)) for row in few) for _ in range(rounds)) / _SIZES[-2] * 1e6
            )
    seconds, verdicts, reasons, instants = _decide_all(policy, rows)
    found |= {f"us_each_of_{size}": statistics.median(costs[size]) for size in _SIZES}
    found |= {
        "flat": _flat(costs),
        # Reading more memory costs the bare chain more, too.
        "floor_flat": _flat(floors),
        "seconds": seconds,
        "times_floor": seconds / floor_seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "verdicts": len(verdicts), "reasons": len(reasons), "instants": sum(1 for instant in instants if instant),
    }  # fmt: skip
    return found


def _flat(costs: dict[int, list[float]]) -> float:
    """The dearest size by the cheapest, within a turn; the median of the turns."""
    relative = [
        statistics.median(cost / base for cost, base in zip(each, costs[_SIZES[0]], strict=True))
        for each in costs.values()
    ]
    return max(relative) / min(relative)


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
        + "".join(
            f"  with {kind:<31}{one[f'{kind}_us']:8.2f} µs   {one[f'{kind}_times_floor']:5.1f} × their if chain\n"
            for kind in ("tokens", "consents", "barred", "handed_over")
        )
        + f"{million['people']} people from plain rows, one core, verdicts, reasons and instants kept\n"
        f"  if chain over the same rows         {million['floor_seconds']:8.2f} s\n"
        f"  decide                              {million['seconds']:8.2f} s    "
        f"{million['times_floor']:5.1f} × the if chain (asked: under 8 s)\n"
        f"  peak memory of that process         {million['peak_megabytes']:8.0f} MB   (asked: under 500 MB)\n"
        f"  each of 10³, 10⁴, 10⁵, 10⁶          "
        + " ".join(f"{million[f'us_each_of_{size}']:.2f}" for size in _SIZES)
        + f" µs, the dearest {million['flat']:.2f} × the cheapest (the if chain: {million['floor_flat']:.2f} ×)\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
