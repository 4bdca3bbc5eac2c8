"""Results for people and for programs: the text of a failure, the lines of a run, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime

from policies.decision import Finding
from policies.local_time import tzdata_version, wall_clock
from policies.scenarios.expectations import FIELDS, got
from policies.scenarios.run import Check, Result

_FINDING = tuple(field.name for field in fields(Finding))
_INSTANTS = frozenset({"until", "closes_at", "deadline"})


def place(result: Result) -> str:
    """Where the scenario stands: file and line."""
    return f"{result.scenario.where}:{result.scenario.line}"


def failure_lines(result: Result) -> Iterator[str]:
    """What is not as expected, step by step, and what every rule says about it."""
    for check in result.checks:
        if not check.differences:
            continue
        after = f", after `{check.step.event}`" if check.step.event else ""
        yield f"  at {_instant(check.step.at, check.zone)} (line {check.step.line}){after}"
        for each in check.differences:
            expected = _shown(each.field, each.expected, check.zone)
            yield f"    {each.field:<9}  expected {expected}, got {_shown(each.field, each.got, check.zone)}"
        yield f"    decided    {_decided(check)}"
        for finding in check.findings:
            mark = "permits" if finding.permits_now else "forbids"
            source = f" [{finding.citation}]" if finding.citation and not finding.permits_now else ""
            yield f"    {mark}    {finding.rule}: {finding.words}{source}"


def failure_text(result: Result) -> str:
    """The same as one text, headed by the scenario's name and place."""
    head = f"{place(result)}: {result.scenario.name} (policy {result.scenario.policy.name})"
    return "\n".join((head, *failure_lines(result)))


def summary(results: Sequence[Result], files: int) -> str:
    """How many passed and failed."""
    failed = sum(not result.passed for result in results)
    counts = [f"{failed:,} failed"] if failed else []
    counts.append(f"{len(results) - failed:,} passed")
    return f"{', '.join(counts)} in {files:,} {'file' if files == 1 else 'files'}"


def as_json(results: Sequence[Result]) -> dict[str, object]:
    """Results for a program. Instants are ISO 8601 in UTC; keys are never renamed."""
    failed = sum(not result.passed for result in results)
    return {
        "passed": len(results) - failed,
        "failed": failed,
        "tzdata": tzdata_version(),
        "results": [_result_as_json(result) for result in results],
    }


def _result_as_json(result: Result) -> dict[str, object]:
    scenario = result.scenario
    return {
        "file": scenario.where,
        "line": scenario.line,
        "name": scenario.name,
        "policy": scenario.policy.name,
        "policy_version": scenario.policy.version,
        "passed": result.passed,
        "checks": [_check_as_json(check) for check in result.checks],
    }


def _check_as_json(check: Check) -> dict[str, object]:
    expect = check.step.expect or {}
    return {
        "at": iso(check.step.at),
        "line": check.step.line,
        "event": check.step.event,
        "passed": not check.differences,
        "expected": {field: _plain(field, expect[field]) for field in FIELDS if field in expect},
        "got": {field: _plain(field, got(check.decision, field)) for field in FIELDS},
        "differs": [each.field for each in check.differences],
        "findings": [_finding_as_json(finding) for finding in check.findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, object]:
    told = {name: getattr(finding, name) for name in _FINDING}
    told["next_at"] = None if finding.next_at is None else iso(finding.next_at)
    return told


def iso(instant: int) -> str:
    """Epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")


def _plain(field: str, value: int | str | tuple[str, ...] | None) -> object:
    if field in _INSTANTS and isinstance(value, int):
        return iso(value)
    return list(value) if isinstance(value, tuple) else value


def _decided(check: Check) -> str:
    said = [f"{field} {_shown(field, value, check.zone)}" for field in FIELDS if (value := got(check.decision, field))]
    return ", ".join(said)


def _shown(field: str, value: int | str | tuple[str, ...] | None, zone: str) -> str:
    if field in _INSTANTS and isinstance(value, int):
        return _instant(value, zone)
    if isinstance(value, tuple):
        return " + ".join(value) or "nothing"
    return "none" if value is None else str(value)


def _instant(instant: int, zone: str) -> str:
    return iso(instant) if zone == "UTC" else f"{wall_clock(zone, instant)} = {iso(instant)}"
