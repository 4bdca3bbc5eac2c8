"""``python -m tests.attack``: attacks on a running stack, with a signed STOP every 100 ms as witness.

python -m tests.attack                              every attack, each for eight seconds
python -m tests.attack --only header --seconds 20   those whose name has this word
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from scheduler.lineage.start import keep_marks
from scheduler.supervise.interrupt import interruptible
from tests.attack.attacks import by_name
from tests.attack.run import Outcome, run
from tests.attack.target import Target


def main(argv: list[str]) -> int:
    """Run them; 0 when every STOP was heard in time."""
    keep_marks()
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=8.0, help="real seconds of each attack")
    parser.add_argument("--only", default="", metavar="WORDS", help="attacks whose name has these words")
    parser.add_argument("--report", type=Path, help="write what was found as JSON into this file")
    given = parser.parse_args(argv)
    attacks = by_name(given.only)
    if not attacks:
        parser.error(f"no attack has {given.only!r} in its name")

    def say(outcome: Outcome) -> None:
        sys.stdout.write(
            f"{outcome.attack:40} {outcome.acknowledged:5} of {outcome.said:5} {outcome.median_ms:8.0f} "
            f"{outcome.p99_ms:8.0f} {outcome.memory:7.1f} x  {'; '.join(outcome.failures()) or 'held'}\n"
        )
        sys.stdout.flush()

    sys.stdout.write(f"{'':40} {'STOPs heard':>14} {'p50 ms':>8} {'p99 ms':>8} {'memory':>9}\n")
    with tempfile.TemporaryDirectory(prefix="duly-attack-") as folder, Target(Path(folder) / "data") as target:
        outcomes = run(target, attacks, given.seconds, say)
    if given.report:
        given.report.parent.mkdir(parents=True, exist_ok=True)
        found = [{**asdict(outcome), "failures": outcome.failures()} for outcome in outcomes]
        given.report.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if any(outcome.failures() for outcome in outcomes) else 0


if __name__ == "__main__":
    with interruptible():
        sys.exit(main(sys.argv[1:]))
