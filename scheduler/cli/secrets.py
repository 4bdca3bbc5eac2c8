"""``duly secrets``: changing the encryption key."""

from __future__ import annotations

import typer

app = typer.Typer(help="Change the encryption key without losing what it seals.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `rotate` a command of its own."""
