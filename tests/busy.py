"""Every test, several times in a row, beside processes that do nothing but keep the machine busy.

    .venv/bin/python -m tests.busy [--busy 12] [--times 3] [arguments of pytest]

Ends with 1 at the first run that fails. On a machine of two cores a run takes about an hour.
"""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=12, help="how many busy processes")
    parser.add_argument("--times", type=int, default=3, help="how many runs")
    options, wanted = parser.parse_known_args()
    argv = [sys.executable, "-m", "pytest", "--numprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        for number in range(1, options.times + 1):
            sys.stdout.write(f"run {number} of {options.times}, beside {options.busy} busy processes\n")
            sys.stdout.flush()
            if subprocess.run([*argv, *wanted], check=False).returncode:
                return 1
    finally:
        for process in busy:
            process.kill()
            process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
