"""``duly sandbox``: the stand-in for the Messenger Platform, as a process of its own."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer

#: Every option is the sandbox's own, ``--help`` too.
COMMAND_SETTINGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    "add_help_option": False,
    "help": "Run the stand-in for the Messenger Platform; `duly sandbox --help` shows its options.",
}


def command(context: typer.Context) -> None:
    """Become the sandbox process. It is started by name: nothing here imports it."""
    sys.stdout.flush()
    argv = [sys.executable, "-m", "workers.sandbox", *context.args]
    os.execv(argv[0], argv)  # noqa: S606 - becoming that process is the point
