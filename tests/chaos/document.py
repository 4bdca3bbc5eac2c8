"""``python -m tests.chaos.document REPORT.json``: makes a report the last full one, with its figures in ``docs``."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from tests.chaos.report import as_markdown

DOCS = Path(__file__).parents[2] / "docs"
_BEGIN, _END = "<!-- figures: python -m tests.chaos.document -->", "<!-- end of figures -->"


def main(report: Path) -> None:
    """Copy the report and write its figures between the marks of ``docs/chaos.md``."""
    place = DOCS / "chaos.md"
    figures = as_markdown(json.loads(report.read_text()))
    text = place.read_text()
    text, count = re.subn(
        f"{re.escape(_BEGIN)}.*{re.escape(_END)}",
        lambda _found: f"{_BEGIN}\n\n{figures}\n\n{_END}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(f"{place} has no place for the figures: {_BEGIN} … {_END}")
    if report.resolve() != (DOCS / "chaos.json").resolve():
        shutil.copy(report, DOCS / "chaos.json")
    place.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
