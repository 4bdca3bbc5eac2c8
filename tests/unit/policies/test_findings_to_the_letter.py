"""What people are told, word for word and number for number; ``tests/mutation/write_findings.py`` writes the file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from policies.explain import explain
from policies.facts import facts_from_json
from policies.policy import parse_policy

CASES = json.loads(Path(__file__).with_name("findings.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(CASES)))
def test_findings_say_what_they_said(number: int) -> None:
    case: dict[str, Any] = CASES[number]
    policy = parse_policy(case["policy"], where="t")
    _, findings = explain(policy, facts_from_json(case["facts"]), case["now"], min_remaining=case["min_remaining"])
    told = [json.loads(json.dumps(asdict(each))) for each in findings]
    assert [each for each in case["findings"] if each not in told] == []
