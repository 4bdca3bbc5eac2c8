"""All the benchmarks there are: ``python -m benchmarks [--json]``."""

from __future__ import annotations

import sys

from benchmarks import decisions

if __name__ == "__main__":
    decisions.main(sys.argv[1:])
