"""``duly key``: keys to the REST API."""

from __future__ import annotations

import json

import typer

from scheduler import clock
from scheduler.access import keys
from scheduler.api.instants import format_instant
from scheduler.cli.output import print_table
from scheduler.store import database
from scheduler.terminal import echo

app = typer.Typer(help="Make and revoke keys to the REST API.", no_args_is_help=True)


@app.command()
def create(name: str = typer.Argument(help="Who will use it, e.g. shop; it stands in the audit.")) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    with database.session() as session:
        key = keys.create_key(session, name, now=clock.now(), actor="cli")
    echo(key)
    echo("keep it: it cannot be shown again", err=True)


@app.command("list")
def list_all(as_json: bool = typer.Option(False, "--json", help="As JSON.")) -> None:
    """Show every key by name and first characters, revoked ones too."""
    with database.session() as session:
        found = keys.list_keys(session)
    rows = [
        {
            "name": key.name,
            "prefix": key.prefix,
            "created_at": format_instant(key.created_at),
            "revoked_at": format_instant(key.revoked_at) if key.revoked_at is not None else None,
        }
        for key in found
    ]
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    print_table(
        ("name", "key", "created", "revoked"),
        [(str(row["name"]), f"{row['prefix']}…", str(row["created_at"]), row["revoked_at"] or "-") for row in rows],
        none="no keys yet; `duly key create NAME` makes one",
    )


@app.command()
def revoke(name: str = typer.Argument(help="The key's name.")) -> None:
    """Make a key useless from now on."""
    with database.session() as session:
        keys.revoke_key(session, name, now=clock.now(), actor="cli")
    echo(f"revoked {name}")
