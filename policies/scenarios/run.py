"""Scenarios, run: facts and an instant in, each expectation compared with the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from policies.binding import binding_of
from policies.decision import Decision, Finding
from policies.engine import decide
from policies.explain import explain
from policies.facts import Facts
from policies.policy import Policy
from policies.scenarios.events import Said, apply, begin
from policies.scenarios.expectations import Difference, differences
from policies.scenarios.model import Scenario, ScenarioFile, Step

#: Is told of every decision that a scenario asks for.
Observer = Callable[[Policy, Facts, int], None]


@dataclass(slots=True, kw_only=True)
class Check:
    """One expectation, and what was decided."""

    step: Step
    decision: Decision
    differences: tuple[Difference, ...] = ()
    #: What every rule had to say. Empty where all is as expected.
    findings: tuple[Finding, ...] = ()
    #: The zone to show instants in.
    zone: str = "UTC"


@dataclass(slots=True, kw_only=True)
class Result:
    """A scenario, run."""

    scenario: Scenario
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not any(check.differences for check in self.checks)


def run_file(file: ScenarioFile, observe: Observer | None = None) -> list[Result]:
    """Every scenario of the file, run."""
    return list(run_all(file.scenarios, observe))


def run_all(scenarios: tuple[Scenario, ...] | list[Scenario], observe: Observer | None = None) -> Iterator[Result]:
    """Each of the scenarios, run when it is asked for."""
    for scenario in scenarios:
        yield run_scenario(scenario, observe)


def run_scenario(scenario: Scenario, observe: Observer | None = None) -> Result:
    """The scenario, run. It may be run again: its own facts stay as they are."""
    policy, facts = scenario.policy, scenario.facts
    said: Said = {}
    if any(step.event for step in scenario.steps):
        facts = replace(facts)
        said = begin(facts, scenario.steps[0].at)
    checks: list[Check] = []
    for step in scenario.steps:
        if step.event is not None:
            apply(step.event, step.topic, policy, facts, step.at, said)
        if step.expect is None:
            continue
        decision = decide(policy, facts, step.at)
        if observe is not None:
            observe(policy, facts, step.at)
        different = differences(step.expect, decision)
        if different:
            _, findings = explain(policy, facts, step.at)
            zone = _zone(policy, facts)
            checks.append(Check(step=step, decision=decision, differences=different, findings=findings, zone=zone))
        else:
            checks.append(Check(step=step, decision=decision))
    return Result(scenario=scenario, checks=tuple(checks))


def _zone(policy: Policy, facts: Facts) -> str:
    zones = binding_of(policy, facts).zones
    return zones[0] if len(zones) == 1 else "UTC"
