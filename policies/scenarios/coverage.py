"""Clause coverage: which texts decided something in a run of scenarios, and which never did.

What could have decided is counted for the policies that the scenarios use, with the packs' rows of the jurisdictions
that their contacts live in (or of those that one asks for). A text decides where a decision rests on it: the ground of
a send, and what the blamed rules read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from policies.binding import binding_of
from policies.clauses import Clause, clauses, deciding
from policies.facts import Facts
from policies.law import jurisdictions_with_packs
from policies.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A text that could have decided."""

    clause: Clause
    #: The policies under which it could have.
    policies: tuple[str, ...]
    #: How many decisions rest on it.
    decided: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """What a run of scenarios covers."""

    rows: tuple[Row, ...]

    @property
    def decided(self) -> int:
        """How many texts decided something."""
        return sum(row.decided > 0 for row in self.rows)

    @property
    def percent(self) -> float:
        """How many of a hundred."""
        return 100 * self.decided / len(self.rows)


@dataclass(slots=True)
class Coverage:
    """Watches a run."""

    _policies: dict[str, Policy] = field(default_factory=dict)
    _places: dict[str, set[str]] = field(default_factory=dict)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def observe(self, policy: Policy, facts: Facts, now: int) -> None:
        """Take note of what the decision at ``now`` (epoch seconds UTC) rests on."""
        version = policy.version
        self._policies[version] = policy
        self._places.setdefault(version, set()).update(binding_of(policy, facts).jurisdictions)
        self._counts.update((version, clause) for clause in deciding(policy, facts, now))

    def report(self, jurisdictions: Collection[str] | None = None) -> CoverageReport:
        """What decided, of all that could have: pack rows of ``jurisdictions``, or where the contacts live."""
        # What a policy inherits from another is one text: same name, same words.
        found: dict[tuple[str, str], Row] = {}
        for version, policy in self._policies.items():
            places = self._places.get(version, set()) if jurisdictions is None else jurisdictions
            for clause in clauses(policy, [code for code in places if code in jurisdictions_with_packs()]):
                key, count = (clause.id, clause.words), self._counts[version, clause.id]
                names: tuple[str, ...] = (policy.name,)
                if (before := found.get(key)) is not None:
                    count += before.decided
                    names = (*before.policies, *names)
                found[key] = Row(clause=clause, policies=tuple(dict.fromkeys(names)), decided=count)
        return CoverageReport(rows=tuple(found.values()))


def coverage_lines(report: CoverageReport) -> list[str]:
    """The report in lines: the sum, and what never decided."""
    lines = [f"clause coverage: {report.decided} of {len(report.rows)} decided something, {report.percent:.1f} %"]
    missed = [row for row in report.rows if not row.decided]
    if missed:
        lines.append("never decided:")
    width = max((len(row.clause.id) for row in missed), default=0)
    for row in missed:
        whose = f" [{row.clause.citation}]" if row.clause.citation else ""
        if row.clause.basis == "house":
            whose = f" (policy {', '.join(row.policies)})"
        lines.append(f"  {row.clause.id:<{width}}  {row.clause.words}{whose}")
    return lines


def coverage_as_json(report: CoverageReport) -> dict[str, object]:
    """The report for a program."""
    return {
        "decided": report.decided,
        "of": len(report.rows),
        "percent": round(report.percent, 2),
        "clauses": [
            {
                "id": row.clause.id,
                "rule": row.clause.rule,
                "policies": list(row.policies),
                "jurisdiction": row.clause.jurisdiction,
                "basis": row.clause.basis,
                "words": row.clause.words,
                "citation": row.clause.citation,
                "decided": row.decided,
            }
            for row in report.rows
        ],
    }
