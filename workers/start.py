"""Starts a worker, at once or when it is told to: ``python -m workers.start [--standby] [--concurrency N]``.

Nearly all of a worker's start is importing. One that stands by has imported everything and waits for a line on its
standard input; then it takes work within a fraction of that time. It ends when its input does.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence


def node_name() -> str:
    """What the worker is called in `duly ops status`, with its host. Only Celery's command line fills in ``%h``."""
    from celery.utils.nodenames import host_format

    return str(host_format("duly@%h"))


def main(arguments: Sequence[str]) -> int:
    """Become a worker, with ``--standby`` only once told to; its exit status."""
    parser = argparse.ArgumentParser(prog="workers.start", description=__doc__, allow_abbrev=False)
    parser.add_argument("--standby", action="store_true", help="get ready, and wait for a line on the standard input")
    parser.add_argument("--concurrency", type=int, default=2, help="processes that do the work")
    parser.add_argument("--loglevel", default="info", help="the least severe line to log")
    options = parser.parse_args(arguments)
    from workers.app import app

    # As `celery -A workers.app worker --without-gossip --without-mingle` makes it.
    worker = app.Worker(
        hostname=node_name(), concurrency=options.concurrency, loglevel=options.loglevel, without_gossip=True,
        without_mingle=True,
    )  # fmt: skip
    if options.standby:
        import kombu.transport.redis  # noqa: F401 - Celery would load these only when the worker starts

        # What is loaded stays, in this process and in those that it forks.
        gc.collect()
        gc.freeze()
        if not sys.stdin.readline():
            return 0
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
