"""``duly config``: the settings, their values and where those come from."""

from __future__ import annotations

import json

import typer

from scheduler import settings
from scheduler.cli.output import print_table
from scheduler.store.secrets import new_key
from scheduler.terminal import echo

app = typer.Typer(help="Look at the settings.", no_args_is_help=True)


@app.command()
def show(as_json: bool = typer.Option(False, "--json", help="As JSON.")) -> None:
    """Show every setting with its value and its source. Secrets are masked."""
    rows = settings.describe(settings.get_settings())
    if as_json:
        shown = [{"name": name, "value": value or None, "source": source} for name, value, source in rows]
        echo(json.dumps(shown, indent=2))
        return
    print_table(
        ("setting", "value", "source"),
        [(name, value or "-", source) for name, value, source in rows],
        none="no settings",
    )


@app.command()
def example() -> None:
    """Print a `.env` with every setting, its meaning and its default."""
    echo(settings.example(), nl=False)


@app.command("new-key")
def make_key() -> None:
    """Print a new key for DULY_ENCRYPTION_KEY."""
    echo(new_key())
