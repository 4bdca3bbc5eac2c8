"""By which name people find a web process."""

from __future__ import annotations

import os
import socket


def process_name() -> str:
    """The name of this process: its host and its id."""
    return f"{socket.gethostname()}/{os.getpid()}"
