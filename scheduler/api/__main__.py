"""``python -m scheduler.api``: the web process, or several behind one address.

    python -m scheduler.api [--host H] [--port P] [--processes N]

What is left out is as the settings say. Whoever serves the application does it with this.
"""

from __future__ import annotations

import argparse
import sys

from scheduler.api.serve import serve
from scheduler.errors import DulyError
from scheduler.settings import get_settings


def main(argv: list[str]) -> int:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(prog="python -m scheduler.api", description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", help="instead of DULY_HOST")
    parser.add_argument("--port", type=int, help="instead of DULY_PORT")
    parser.add_argument("--processes", type=int, help="instead of DULY_WEB_PROCESSES")
    given = parser.parse_args(argv)
    try:
        settings = get_settings()
    except DulyError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    serve(
        given.host if given.host is not None else settings.host,
        given.port if given.port is not None else settings.port,
        given.processes if given.processes is not None else settings.web_processes,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
