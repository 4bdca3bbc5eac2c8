"""The one place that prints: for the command line and the demo. What others wrote cannot command a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from scheduler.neutral import plain, plain_but_styles


class Terminal(Console):
    """Rich's console, which draws what it is given and obeys nothing that is in it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is drawn, each harmless."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(plain(segment.text), segment.style)


def echo(
    message: object = "",
    *,
    err: bool = False,
    nl: bool = True,
    fg: str | None = None,
    color: bool | None = None,
    styled: bool = False,
) -> None:
    """Print. ``styled``: the message was coloured here, and the parts of it that others wrote are ``plain`` already."""
    text = (plain_but_styles if styled else plain)(str(message))
    typer.secho(text, err=err, nl=nl, fg=fg, color=color)


def echo_data(text: str) -> None:
    """Print a part of a file of data: as it is for a program, harmless on a terminal."""
    typer.echo(plain(text) if sys.stdout.isatty() else text, nl=False)


def confirm(question: str, *, abort: bool = False, err: bool = False) -> bool:
    """Ask yes or no."""
    return typer.confirm(plain(question), abort=abort, err=err)
