"""``duly secrets``: changing the encryption key, and the secrets of apps."""

from __future__ import annotations

from pathlib import Path

import typer

from scheduler import clock
from scheduler.audit.record import record
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.page import read_secret
from scheduler.pages import app_secrets
from scheduler.store import database
from scheduler.store.resealing import SEALED, Resealed, reseal_chunk
from scheduler.store.secrets import key_texts
from scheduler.terminal import echo

app = typer.Typer(
    help="Change the encryption key, or an app's secret, without losing anything. A secret is never shown.",
    no_args_is_help=True,
)

_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command()
def rotate(
    app_id: str | None = typer.Option(
        None, "--app", help="Give this platform app a new secret instead; the one before it still verifies webhooks."
    ),
    secret_file: Path | None = typer.Option(
        None, help="With --app: a file with the new secret (- is standard input); left out: APP_SECRET, or a prompt."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what older keys sealed."),
    as_json: bool = _JSON,
) -> None:
    """Seal everything anew with the first key of DULY_ENCRYPTION_KEY. Broken off, it goes on where it was.

    First put a new key (`duly config new-key`) in front of the old one, for every process: DULY_ENCRYPTION_KEY=new,old.
    """
    if app_id is not None:
        _rotate_app(app_id, secret_file, dry_run=dry_run, as_json=as_json)
        return
    found = [_column(table, primary, column, write=not dry_run) for table, primary, column in SEALED]
    resealed, unreadable = sum(each.resealed for each in found), sum(each.unreadable for each in found)
    if resealed and not dry_run:
        with database.session() as session:
            record(
                session, actor="cli", action="secrets.rotate", subject="encryption_key",
                detail={f"{each.table}.{each.column}": each.resealed for each in found if each.resealed},
                now=clock.now(),
            )  # fmt: skip
    keys = len(key_texts())
    # Looked through once more: a process that was not restarted goes on sealing with the older key.
    left = 0 if dry_run or keys == 1 else sum(_column(*column, write=False).resealed for column in SEALED)
    may_go = keys > 1 and not unreadable and not left and not (dry_run and resealed)
    if as_json:
        columns = [
            {
                "column": f"{each.table}.{each.column}", "fresh": each.fresh, "resealed": each.resealed,
                "unreadable": each.unreadable,
            }
            for each in found
        ]  # fmt: skip
        echo_json({"columns": columns, "keys": keys, "dry_run": dry_run, "older_keys_may_go": may_go})
    else:
        print_table(
            ("sealed", "with the first key", "to be sealed anew" if dry_run else "sealed anew", "key not here"),
            [
                (f"{each.table}.{each.column}", str(each.fresh), str(each.resealed), str(each.unreadable))
                for each in found
            ],
            none="",
        )
        echo(_next_step(keys, resealed, unreadable, left, dry_run=dry_run))
    if unreadable or left:
        raise typer.Exit(1)


def _column(table: str, primary: str, column: str, *, write: bool) -> Resealed:
    done, after = Resealed(table=table, column=column), None
    while True:
        with database.session() as session:
            after = reseal_chunk(session, done, primary, after, write=write)
        if after is None:
            return done


def _next_step(keys: int, resealed: int, unreadable: int, left: int, *, dry_run: bool) -> str:
    if unreadable:
        return (
            f"{unreadable} values were sealed with a key that is not here: add it to DULY_ENCRYPTION_KEY and run this "
            "again, or store those secrets again; let no key go before that"
        )
    if left:
        return (
            f"{left} values were sealed with an older key meanwhile: some process has it in front still; restart "
            "all of them with the new one in front and run this again; let no key go before that"
        )
    if keys == 1:
        return "there is one key: put a new one in front of it in DULY_ENCRYPTION_KEY to change it (docs/privacy.md)"
    if dry_run and resealed:
        return f"{resealed} values wait; run it without --dry-run"
    return (
        "everything is sealed with the first key: the others may go from DULY_ENCRYPTION_KEY 36 hours from now, when "
        "no echo of what was sent before comes any more"
    )


def _rotate_app(app_id: str, secret_file: Path | None, *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        echo(f"{app_id} would get a second secret; the older one verifies until `duly app retire-secret {app_id}`")
        return
    secret = read_secret("app secret", "APP_SECRET", secret_file)
    with database.session() as session:
        app_secrets.add_secret(session, app_id, secret, actor="cli", now=clock.now())
    if as_json:
        echo_json({"app": app_id, "secrets": 2})
        return
    echo(f"both secrets of {app_id} verify; `duly app retire-secret {app_id}` ends the older one")
