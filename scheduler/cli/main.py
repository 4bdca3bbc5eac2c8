"""``duly``: the commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import typer

from scheduler import logs
from scheduler.cli.loading import LoadingGroup
from scheduler.cli.pipe import outlive_readers
from scheduler.errors import EXIT_CODES, DulyError
from scheduler.lineage.start import keep_marks
from scheduler.settings import get_settings
from scheduler.terminal import echo

_EXIT_CODES = "  \n".join(f"{code}  {words}" for code, words in EXIT_CODES.items())


class _Duly(LoadingGroup):
    """Turns every error a person may see into one line on standard error and the exit code of its kind."""

    package = "scheduler.cli"
    modules = (
        "demo", "up", "sandbox", "page", "app", "contact", "contacts", "consent", "campaign", "message", "dead-letter",
        "ops", "policy", "privacy", "key", "secrets", "db", "restore", "config",
    )  # fmt: skip

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        outlive_readers()
        try:
            return super().invoke(ctx)
        except DulyError as error:
            echo(f"error: {error}", err=True, fg=typer.colors.RED)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


app = typer.Typer(
    name="duly",
    cls=_Duly,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=f"**Exit codes**  \n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"duly {importlib.metadata.version('duly')}")
        raise typer.Exit


#: What needs no setting to be right: what makes a key must work before there is one.
_WITHOUT_SETTINGS = frozenset({"config"})


@app.callback()
def main(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and end."
    ),
) -> None:
    """Follow-up messages on Messenger, sent *duly*: permitted, in time, and on the record."""
    del version
    keep_marks()
    if context.invoked_subcommand in _WITHOUT_SETTINGS:
        return
    settings = get_settings()
    # A command speaks for itself: only what went wrong is logged beside it.
    logs.bind_request()
    logs.configure("debug" if settings.log_level == "debug" else "warning", settings.log_format)


if __name__ == "__main__":
    app()
