"""``duly``: the commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from scheduler import logs
from scheduler.errors import EXIT_CODES, DulyError
from scheduler.settings import get_settings

#: The modules beside this one with commands, in the order of the help. Each has ``app`` (a group) or ``command``.
_MODULES = ("demo", "up", "sandbox", "page", "campaign", "message", "policy", "key", "db", "config")

_EXIT_CODES = "  \n".join(f"{code}  {words}" for code, words in EXIT_CODES.items())


class _Duly(TyperGroup):
    """Finds commands in the modules beside this one, loading only the one that is asked for.

    Turns every error a person may see into one line on standard error and the exit code of its kind.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands. ``ctx`` is a context of the Click that Typer ships, a private module."""
        return [*super().list_commands(ctx), *(name for name in _MODULES if _exists(name))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called ``cmd_name``, or None."""
        if cmd_name in _MODULES and _exists(cmd_name):
            return _load(cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except DulyError as error:
            typer.secho(f"error: {error}", err=True, fg=typer.colors.RED)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output has enough of it: `duly message list | head`.
            sys.stderr.close()
            raise typer.Exit(0) from None


def _exists(name: str) -> bool:
    return importlib.util.find_spec(f"scheduler.cli.{name}") is not None


def _load(name: str) -> Any:
    module = importlib.import_module(f"scheduler.cli.{name}")
    group = getattr(module, "app", None)
    loaded: Any
    if group is not None:
        loaded = typer.main.get_group(group)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name, **getattr(module, "COMMAND_SETTINGS", {}))(module.command)
        loaded = typer.main.get_command(alone)
    loaded.name = name
    return loaded


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
        typer.echo(f"duly {importlib.metadata.version('duly')}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and end."
    ),
) -> None:
    """Follow-up messages on Messenger, sent *duly*: permitted, in time, and on the record."""
    del version
    settings = get_settings()
    # A command speaks for itself: only what went wrong is logged beside it.
    logs.configure("debug" if settings.log_level == "debug" else "warning", settings.log_format)


if __name__ == "__main__":
    app()
