"""How commands of the CLI show what they read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scheduler.errors import Invalid
from scheduler.neutral import plain_line
from scheduler.terminal import Terminal, echo


def echo_json(value: Any) -> None:
    """Print JSON for a program."""
    echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, none: str, whole: Sequence[str] = ()) -> None:
    """Rows under their columns, or the sentence ``none``. Nothing is cut off.

    On a terminal long values fold, save those of the columns ``whole``: ids are there to be copied. Anywhere else, in a
    pipe say, every row is one line.
    """
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*(Text(plain_line(value)) for value in row))
    console = Terminal()
    if not table.rows:
        console.print(none, soft_wrap=True, highlight=False)
        return
    if not console.is_terminal:
        widest = console.options.update(max_width=100_000)
        console = Terminal(width=Measurement.get(console, widest, table).maximum)
    console.print(table)


def print_findings(console: Console, findings: Sequence[Any], *, indent: str = "") -> None:
    """What each rule said, one line a rule; ``findings`` have rule, permits_now, words and citation."""
    for finding in findings:
        mark = Text("permits ", style="green") if finding.permits_now else Text("forbids ", style="red")
        line = Text(indent) + mark + Text(f"{finding.rule}: ", style="bold") + Text(finding.words)
        if finding.citation and not finding.permits_now:
            line += Text(f" [{finding.citation}]", style="dim")
        console.print(line, soft_wrap=True)


def write_private(path: Path, parts: Iterable[str], *, option: str) -> None:
    """Write ``parts`` to a file that its owner alone may read, also where it was there: it is about people.

    Raises Invalid, naming ``option``, where it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise Invalid(
            f"`{path}` cannot be written ({error.strerror})", field=option, way_out="name a file in a folder of yours"
        ) from None
    with open(descriptor, "w", encoding="utf-8", newline="") as written:
        if path.is_file():
            os.fchmod(descriptor, 0o600)
            written.truncate()
        written.writelines(parts)
