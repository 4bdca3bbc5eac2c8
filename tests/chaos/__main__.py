"""``python -m tests.chaos``: everything goes wrong at once, on several seeds, and the witness judges.

python -m tests.chaos --seeds 11 12 13                   a full run, about eight minutes a seed on two idle cores
python -m tests.chaos --seeds 11 --people 200 --seconds 60 --kills 12
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scheduler.lineage.start import keep_marks
from scheduler.supervise.interrupt import interruptible
from tests.chaos import report
from tests.chaos.run import Options, run


def main(argv: list[str]) -> int:
    """Run every seed; 0 when all passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], help="one run each")
    parser.add_argument("--people", type=int, default=1400, help="of a run; each is in three campaigns")
    parser.add_argument("--seconds", type=float, default=150.0, help="real seconds in which things go wrong")
    parser.add_argument("--kills", type=int, default=40, help="SIGKILLs in these seconds")
    parser.add_argument("--opt-outs", type=int, default=670, help="people of a run who say STOP while they are sent to")
    parser.add_argument("--orders", type=int, default=1400, help="utility messages of a run in these seconds")
    parser.add_argument("--page-rate", type=int, default=14, help="messages a second of each of the four pages")
    parser.add_argument("--stop", type=float, default=60.0, help="real seconds for which a worker is stopped")
    parser.add_argument("--recoveries", type=int, default=2, help="losses of each part when recovery is measured")
    parser.add_argument("--no-control", dest="control", action="store_false", help="leave out the run without faults")
    parser.add_argument("--report", type=Path, help="write the report as JSON into this file")
    parser.add_argument("--keep", type=Path, help="keep the witness's log and the product's own in this folder")
    given = parser.parse_args(argv)
    keep_marks()

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    runs: list[report.Run] = []

    def play(options: Options, name: str) -> None:
        runs.append(run(options, say, keep=given.keep / name if given.keep else None).as_json())
        if given.report:
            # After each: whoever interrupts the next has what there is.
            given.report.parent.mkdir(parents=True, exist_ok=True)
            given.report.write_text(report.as_json(runs))

    if given.control:
        say("a run without faults, for comparison")
        control = Options(
            seed=given.seeds[0], people=min(300, given.people), seconds=min(45.0, given.seconds), kills=0, faults=False,
            opt_outs=min(60, given.opt_outs), orders=min(150, given.orders), page_rate=given.page_rate,
        )  # fmt: skip
        play(control, "control")
    for seed in given.seeds:
        options = Options(
            seed=seed, people=given.people, seconds=given.seconds, kills=given.kills, opt_outs=given.opt_outs,
            orders=given.orders, page_rate=given.page_rate, stop=given.stop, recoveries=given.recoveries,
        )  # fmt: skip
        play(options, str(seed))
    say("")
    say(report.as_text(runs))
    return 1 if report.failures(runs) else 0


if __name__ == "__main__":
    with interruptible():
        sys.exit(main(sys.argv[1:]))
