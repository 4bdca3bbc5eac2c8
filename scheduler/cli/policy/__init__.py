"""``duly policy``: ask the policy engine, test policies, and say which one decides. One command a module."""

from __future__ import annotations

import typer

from scheduler.cli.loading import LoadingGroup


class _Policy(LoadingGroup):
    """The commands beside this file."""

    package = "scheduler.cli.policy"
    modules = ("test", "lint", "explain", "forecast", "diff", "show", "activate", "history")


app = typer.Typer(cls=_Policy, help="Ask the policy engine, and test policies.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Ask the policy engine, and test policies."""
