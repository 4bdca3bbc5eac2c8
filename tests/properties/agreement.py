"""The engine and the second reading on random facts: run as ``python -m tests.properties.agreement``."""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from policies.decision import PRECEDENCE, Decision
from policies.engine import decide
from policies.facts import Facts
from policies.policy import Policy
from tests.properties.naive import Naive, Reading
from tests.properties.naive_documents import Document
from tests.properties.naive_grounds import GROUNDS
from tests.properties.naive_places import all_zones, pack_codes, place_of
from tests.properties.random_documents import both, known_policies, random_document
from tests.properties.random_facts import case

REASONS = (
    "opted_out", "blocked", "unreachable", "erased", "test_mode", "no_consent", "consent_expired", "kill_switch",
    "page_stopped", "campaign_paused", "contact_held", "window_closed", "window_closes_in_quiet_hours",
    "window_closes_before_cap", "not_before", "expired", "handover", "minimum_gap", "frequency_cap", "quiet_hours",
    "closed_day", "unknown_zone",
)  # fmt: skip
WAKES = ("inbound", "handback", "zone_evidence", "resume", "page_restored")
#: How many random documents stand behind a thousand facts.
DOCUMENTS = 60


@dataclass(slots=True)
class Seen:
    """What a run covered, and where the two readings differ."""

    cases: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    blamed: Counter[str] = field(default_factory=Counter)
    grounds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wakes: Counter[str] = field(default_factory=Counter)
    zones: Counter[str] = field(default_factory=Counter)
    packs: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        self.cases += other.cases
        for name in ("verdicts", "blamed", "grounds", "reasons", "wakes", "zones", "packs"):
            getattr(self, name).update(getattr(other, name))
        self.differences += other.differences

    def missing(self, *, least: int) -> list[str]:
        """What a run should have met at least so many times, and did not: such a run proves less than it says."""
        wanted = (
            (self.verdicts, ("send", "defer", "deny"), self.cases // 10),
            (self.blamed, PRECEDENCE, least),
            (self.grounds, GROUNDS, least),
            (self.reasons, REASONS, least),
            (self.wakes, WAKES, least),
        )
        return [f"{name}: {found[name]}" for found, names, few in wanted for name in names if found[name] < few]

    def told(self) -> str:
        lines = [f"{self.cases} facts, {len(self.differences)} decided differently"]
        lines += [
            f"  {name}: " + ", ".join(f"{key} {count}" for key, count in found.most_common())
            for name, found in (
                ("verdicts", self.verdicts), ("blamed", self.blamed), ("grounds", self.grounds),
                ("reasons", self.reasons), ("woken by", self.wakes),
            )
        ]  # fmt: skip
        lines.append(f"  zones: {len(self.zones)} of {len(all_zones())} named; packs: {len(self.packs)} of "
                     f"{len(pack_codes())} in force")  # fmt: skip
        return "\n".join(lines)


def differences(decided: Decision, expected: Reading) -> list[str]:
    """How a decision differs from what it should be, one line a field."""
    found = [
        f"{name}: decided {getattr(decided, name)!r}, read {getattr(expected, name)!r}"
        for name in ("verdict", "at", "ground", "closes_at", "deadline", "because", "wakes_on")
        if getattr(decided, name) != getattr(expected, name)
    ]
    if decided.reason not in expected.reasons:
        found.append(f"reason: decided {decided.reason!r}, read {sorted(map(str, expected.reasons))}")
    return found


def random_cases(seed: int, count: int) -> Iterator[tuple[str, Policy, Document, Facts, int, int]]:
    """Policies in turn with facts: the text or name of the policy, both readings of it, facts, now, min_remaining."""
    chance, known = random.Random(seed), list(known_policies().items())
    texts = [random_document(chance) for _ in range(max(20, count * DOCUMENTS // 1000))]
    random_ones = [(text, both(text)) for text in texts]
    for _ in range(count):
        name, (policy, document) = chance.choice(known if chance.random() < 0.5 else random_ones)
        yield name, policy, document, *case(chance)


def compare(seed: int, count: int) -> Seen:
    """Decide ``count`` random facts in both readings."""
    seen = Seen()
    for name, policy, document, facts, now, remaining in random_cases(seed, count):
        decided = decide(policy, facts, now, min_remaining=remaining)
        expected = Naive(document, facts, now, remaining).decide()
        seen.cases += 1
        seen.verdicts[decided.verdict] += 1
        seen.blamed.update(decided.because)
        seen.grounds[str(decided.ground)] += 1
        seen.reasons[str(decided.reason)] += 1
        seen.wakes[str(decided.wakes_on)] += 1
        seen.zones.update(facts.timezones)
        seen.packs.update(place_of(facts).jurisdictions & set(pack_codes()))
        if wrong := differences(decided, expected):
            seen.differences.append(
                f"{name}\nnow={now}, min_remaining={remaining}\n{facts}\n" + "\n".join(wrong)
            )  # fmt: skip
    return seen


def main() -> int:
    """Exit 1 where the readings differ, or where a run met too little to say anything."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--facts", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=20261121)
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--shown", type=int, default=5, help="how many differences to print")
    told = asked.parse_args()
    share, seen = -(-told.facts // (told.processes * 5)), Seen()
    seeds = range(told.seed * 1000, told.seed * 1000 + told.processes * 5)
    with ProcessPoolExecutor(told.processes) as pool:
        for part in pool.map(compare, seeds, [share] * len(seeds)):
            seen.add(part)
    missing = seen.missing(least=10)
    lines = [seen.told(), *("\n" + each for each in seen.differences[: told.shown])]
    lines += ["too rare to say anything:", *missing] if missing else ["every verdict, rule, ground and reason met"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if seen.differences or missing else 0


if __name__ == "__main__":
    sys.exit(main())
