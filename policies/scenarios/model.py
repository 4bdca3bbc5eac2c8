"""What a scenario file says, once it is known to be possible."""

from __future__ import annotations

from dataclasses import dataclass

from policies.facts import Facts
from policies.policy import Policy

#: What an expectation may say of each field: an instant, a word, rule names, or None for "there is none".
Expected = dict[str, int | str | tuple[str, ...] | None]


@dataclass(slots=True, kw_only=True)
class Step:
    """An instant of a scenario: what happens then, and what is then expected."""

    #: Epoch seconds UTC.
    at: int
    line: int
    event: str | None = None
    topic: str | None = None
    expect: Expected | None = None


@dataclass(slots=True, kw_only=True)
class Scenario:
    """One scenario, or one combination of a matrix."""

    name: str
    #: The file, as it was named.
    where: str
    #: The line of its header.
    line: int
    policy: Policy
    #: As they are before the first step.
    facts: Facts
    steps: tuple[Step, ...]


@dataclass(slots=True, kw_only=True)
class ScenarioFile:
    """A file of scenarios, all of them checked."""

    where: str
    scenarios: tuple[Scenario, ...]
