"""``duly db``: the database's revision."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from scheduler.errors import Conflict
from scheduler.settings import get_settings, running_environment
from scheduler.store import dumps, migrate
from scheduler.store.database import database_url
from scheduler.store.embedded import Servers
from scheduler.store.postgres_server import PostgresServer
from scheduler.store.revision import needed, unfit
from scheduler.supervise.folder_lock import FolderLock
from scheduler.terminal import confirm, echo

app = typer.Typer(help="Move the database between revisions.", no_args_is_help=True)


@app.command()
def upgrade(revision: str = typer.Argument("head", help="A revision, or head.")) -> None:
    """Bring the database up to a revision; nothing happens when it is there."""
    echo(migrate.upgrade(database_url(), revision) or "base")


@app.command()
def downgrade(
    revision: str = typer.Argument(help="A revision, or base for none."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Take the database down to a revision; refused while Duly runs. What only newer revisions hold is deleted."""
    _refuse_in_use()
    if not yes:
        confirm(f"Delete everything that is newer than revision {revision}?", abort=True, err=True)
    echo(migrate.downgrade(database_url(), revision) or "base")


def _refuse_in_use() -> None:
    """Raise Conflict where Duly runs on the database: web and workers would find no tables."""
    if running_environment(get_settings().data_dir):
        raise Conflict("Duly runs here", way_out="stop `duly up` first")
    _refuse_connected(database_url())


@contextmanager
def _server() -> Iterator[str]:
    """The address of the database; where none is set and no stack runs here, its embedded server, for as long."""
    settings = get_settings()
    if settings.database_url is not None:
        yield database_url()
        return
    lock, server = FolderLock(settings.data_dir), PostgresServer(settings.data_dir)
    lock.acquire()
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        lock.release()


def _refuse_connected(url: str) -> None:
    if count := migrate.connected(url):
        connections = "1 connection" if count == 1 else f"{count} connections"
        raise Conflict(
            f"Duly runs on this database: {connections} of it are open",
            way_out="stop web, workers and every other `duly` command first",
        )


@app.command()
def current(as_json: bool = typer.Option(False, "--json", help="As JSON.")) -> None:
    """Show the database's revision and the newest that this version knows."""
    here, newest = migrate.current(database_url()), needed()
    if as_json:
        echo(json.dumps({"current": here, "head": newest, "up_to_date": here == newest}))
        return
    wrong = unfit(here)
    echo(f"{here or 'base'}" + (f" ({wrong})" if wrong is not None else ""))


@app.command()
def dump(file: Path = typer.Argument(help="Where the dump goes, in PostgreSQL's custom format.")) -> None:
    """Write a dump of the database, with `pg_dump`. It holds personal data: only you may read it."""
    with _server() as url:
        dumps.dump(url, file)
    echo(f"dumped to {file}")


@app.command()
def load(
    file: Path = typer.Argument(help="A dump that `duly db dump` or `pg_dump --format custom` wrote."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Put the database back to what a dump says, with `pg_restore`; refused while Duly runs. See `duly restore`."""
    if running_environment(get_settings().data_dir):
        raise Conflict("Duly runs here", way_out="stop `duly up` first")
    with _server() as url:
        _refuse_connected(url)
        if not yes:
            confirm("Delete everything that is in the database now?", abort=True, err=True)
        dumps.load(url, file)
    echo(f"loaded {file}; nothing is sent before `duly restore` shows what it does not know")


@app.command(hidden=True)
def draft(message: str = typer.Argument(help="What changes, e.g. 'the consent receipt'.")) -> None:
    """Draft a migration from the newest revision to the tables as they are in the code, for a developer to edit."""
    with TemporaryDirectory() as folder, Servers(Path(folder), durable=False, throwaway=True) as servers:
        migrate.upgrade(servers.database_url)
        echo(migrate.draft(servers.database_url, message))
