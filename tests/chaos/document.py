"""``python -m tests.chaos.document REPORT.json …`` makes reports the last full one, with its figures in ``docs``.

Several reports become one: seeds may run one after the other, or on several machines.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.chaos.report import as_json, as_markdown

DOCS = Path(__file__).parents[2] / "docs"
_BEGIN, _END = "<!-- figures: python -m tests.chaos.document -->", "<!-- end of figures -->"


def main(reports: list[Path]) -> None:
    """Write ``docs/chaos.json``, and its figures between the marks of ``docs/chaos.md``."""
    runs = [run for report in reports for run in json.loads(report.read_text())["runs"]]
    place = DOCS / "chaos.md"
    text, count = re.subn(
        f"{re.escape(_BEGIN)}.*{re.escape(_END)}",
        lambda _found: f"{_BEGIN}\n\n{as_markdown(runs)}\n\n{_END}",
        place.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(f"{place} has no place for the figures: {_BEGIN} … {_END}")
    place.write_text(text)
    (DOCS / "chaos.json").write_text(as_json(runs))


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
