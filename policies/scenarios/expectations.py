"""What a scenario expects of a decision: read, and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.decision import Decision
from policies.scenarios.instants import read_absolute
from policies.scenarios.model import Expected
from policies.scenarios.vocabulary import GROUNDS, NONE, REASONS, RULES, VERDICTS, WAKES_ON
from policies.toml_source import Table

_WORDS: dict[str, tuple[str, ...]] = {
    "verdict": VERDICTS,
    "ground": (*GROUNDS, NONE),
    "reason": (*REASONS, NONE),
    "wakes_on": (*WAKES_ON, NONE),
}
_INSTANTS = ("until", "closes_at", "deadline")
#: In the order of a report.
FIELDS = ("verdict", "until", "ground", "closes_at", "deadline", "because", "reason", "wakes_on")

_GOT: dict[str, Callable[[Decision], int | str | tuple[str, ...] | None]] = {
    "verdict": lambda decision: decision.verdict,
    "until": lambda decision: decision.at if decision.verdict == "defer" else None,
    "ground": lambda decision: decision.ground,
    "closes_at": lambda decision: decision.closes_at,
    "deadline": lambda decision: decision.deadline,
    "because": lambda decision: decision.because,
    "reason": lambda decision: decision.reason,
    "wakes_on": lambda decision: decision.wakes_on,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a decision that is not what was expected."""

    field: str
    expected: int | str | tuple[str, ...] | None
    got: int | str | tuple[str, ...] | None


def read_expectation(table: Table) -> Expected:
    """The keys of ``expect``. Raises PolicyError naming the key."""
    expected: Expected = {}
    for key in table:
        if key in _INSTANTS:
            expected[key] = None if table.raw(key) == NONE else read_absolute(table, key)
        elif key == "because":
            expected[key] = _rules(table, key)
        elif key in _WORDS:
            word = table.choice(key, _WORDS[key])
            expected[key] = None if word == NONE else word
        else:
            raise table.error(key, f"is not known here; known are {', '.join(FIELDS)}")
    if not expected:
        raise table.error("", f"expects nothing; say any of {', '.join(FIELDS)}")
    return expected


def got(decision: Decision, field: str) -> int | str | tuple[str, ...] | None:
    """What the decision says of one of the ``FIELDS``; instants are epoch seconds."""
    return _GOT[field](decision)


def differences(expected: Expected, decision: Decision) -> tuple[Difference, ...]:
    """The fields that are not as expected, in the order of ``FIELDS``. Rules are compared as a set."""
    found = []
    for field, wanted in expected.items():
        is_ = _GOT[field](decision)
        same = set(is_) == set(wanted) if isinstance(is_, tuple) and isinstance(wanted, tuple) else is_ == wanted
        if not same:
            found.append(Difference(field, wanted, is_))
    return tuple(sorted(found, key=lambda each: FIELDS.index(each.field)))


def _rules(table: Table, key: str) -> tuple[str, ...]:
    names = table.texts(key)
    for name in names:
        if name not in RULES:
            raise table.error(key, f"`{name}` is not a rule; rules are {', '.join(RULES)}")
    return tuple(name for name in RULES if name in names)
