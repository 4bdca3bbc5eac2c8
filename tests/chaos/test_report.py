"""The document tells the figures of the report beside it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chaos.recovery import p95
from tests.chaos.report import as_markdown, summary

DOCS = Path(__file__).parents[2] / "docs"


def test_the_document_has_the_figures_of_the_last_full_report() -> None:
    runs = json.loads((DOCS / "chaos.json").read_text())["runs"]
    assert as_markdown(runs) in (DOCS / "chaos.md").read_text()
    assert len(summary(runs)["seeds"]) >= 3


def test_the_95th_percentile_of_a_few_is_the_longest() -> None:
    assert p95([3.0]) == 3.0
    assert p95([1.0, 9.0, 2.0]) == 9.0
    assert p95([float(number) for number in range(1, 101)]) == 95.0
