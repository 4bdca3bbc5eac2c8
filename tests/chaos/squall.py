"""A short, directed storm that a broken delivery cannot hide in: run as a program on the tree in the working directory.

Answers get lost after the platform took the message, with and without an echo; a worker dies with such answers
outstanding. The judgement is printed as JSON.
"""

from __future__ import annotations

import json
import sys

from scheduler.lineage.start import keep_marks
from tests.chaos.run import Options, Outcome, run


def main() -> Outcome:
    """Play it on a fixed seed."""
    options = Options(
        seed=3, people=40, seconds=10, kills=0, opt_outs=4, orders=10, page_rate=10, doubt_wait=4, squall=True,
        unconfirmed_share=1.0,
    )  # fmt: skip
    return run(options, lambda line: sys.stderr.write(line + "\n"))


if __name__ == "__main__":
    keep_marks()
    outcome = main()
    document = {**outcome.as_json(), "kinds": sorted({words.partition(":")[0] for words in outcome.failures})}
    sys.stdout.write(json.dumps(document) + "\n")
