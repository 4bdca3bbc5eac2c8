"""``duly app``: the platform apps that sign webhooks, and the change of their secrets."""

from __future__ import annotations

from pathlib import Path

import typer

from scheduler import clock
from scheduler.api.apps import view
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.page import read_secret
from scheduler.pages import app_secrets
from scheduler.store import database
from scheduler.terminal import echo

app = typer.Typer(
    help="See the platform apps that sign webhooks, and change their secrets without losing an event.",
    no_args_is_help=True,
)

_ACTOR = "cli"
_APP = typer.Argument(help="The platform's id of the app.")
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command("list")
def list_all(as_json: bool = _JSON) -> None:
    """Show all apps, and how many secrets each has."""
    with database.session() as session:
        found = [view(each) for each in app_secrets.list_apps(session)]
    if as_json:
        echo_json([each.model_dump(mode="json") for each in found])
        return
    print_table(
        ("app", "secrets", "changed"),
        [(each.external_id, str(each.secrets), _when(each.secret_changed_at)) for each in found],
        whole=("app",),
        none="no apps yet; `duly page add` registers one with its first page",
    )


@app.command("add-secret")
def add_secret(
    app_id: str = _APP,
    secret_file: Path | None = typer.Option(None, help="A file with the new secret (- is standard input)."),
    as_json: bool = _JSON,
) -> None:
    """Give the app a new secret, from APP_SECRET, a file or a prompt; the one before it still verifies webhooks."""
    secret = read_secret("app secret", "APP_SECRET", secret_file)
    with database.session() as session:
        made = view(app_secrets.add_secret(session, app_id, secret, actor=_ACTOR, now=clock.now()))
    if as_json:
        echo_json(made.model_dump(mode="json"))
        return
    echo(
        f"both secrets of {app_id} verify; `duly app retire-secret {app_id}` ends the older one, "
        f"`duly app undo-secret {app_id}` takes this one back"
    )


@app.command("retire-secret")
def retire_secret(app_id: str = _APP, as_json: bool = _JSON) -> None:
    """Let the app's older secret verify nothing any more."""
    with database.session() as session:
        left = view(app_secrets.retire_secret(session, app_id, actor=_ACTOR, now=clock.now()))
    if as_json:
        echo_json(left.model_dump(mode="json"))
        return
    echo(f"{app_id} has one secret")


@app.command("undo-secret")
def undo_secret(app_id: str = _APP, as_json: bool = _JSON) -> None:
    """Take back the secret that was added last, a mistyped one, say: the one before it is the app's again."""
    with database.session() as session:
        left = view(app_secrets.undo_secret(session, app_id, actor=_ACTOR, now=clock.now()))
    if as_json:
        echo_json(left.model_dump(mode="json"))
        return
    echo(f"{app_id} has the secret again that it had before")


def _when(instant: int | None) -> str:
    return format_instant(instant) if instant is not None else "-"
