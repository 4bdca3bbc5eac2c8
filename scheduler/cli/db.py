"""``duly db``: the database's revision."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from scheduler.store import migrate
from scheduler.store.database import database_url
from scheduler.store.embedded import Servers

app = typer.Typer(help="Move the database between revisions.", no_args_is_help=True)


@app.command()
def upgrade(revision: str = typer.Argument("head", help="A revision, or head.")) -> None:
    """Bring the database up to a revision; nothing happens when it is there."""
    typer.echo(migrate.upgrade(database_url(), revision) or "base")


@app.command()
def downgrade(
    revision: str = typer.Argument(help="A revision, or base for none."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Take the database down to a revision. What only newer revisions hold is deleted."""
    if not yes:
        typer.confirm(f"Delete everything that is newer than revision {revision}?", abort=True, err=True)
    typer.echo(migrate.downgrade(database_url(), revision) or "base")


@app.command()
def current(as_json: bool = typer.Option(False, "--json", help="As JSON.")) -> None:
    """Show the database's revision and the newest that this version knows."""
    here, newest = migrate.current(database_url()), migrate.head()
    if as_json:
        typer.echo(json.dumps({"current": here, "head": newest, "up_to_date": here == newest}))
    else:
        typer.echo(f"{here or 'base'}" + ("" if here == newest else f" (newest: {newest}; `duly db upgrade`)"))


@app.command(hidden=True)
def draft(message: str = typer.Argument(help="What changes, e.g. 'the consent receipt'.")) -> None:
    """Draft a migration from the newest revision to the tables as they are in the code, for a developer to edit."""
    with TemporaryDirectory() as folder, Servers(Path(folder), durable=False, throwaway=True) as servers:
        migrate.upgrade(servers.database_url)
        typer.echo(migrate.draft(servers.database_url, message))
