"""``duly policy lint``: what policies say without meaning it, and what is about to change under them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import typer
from rich.text import Text

from policies.lint import LEVELS, Remark, lint
from policies.lint.directives import read_places
from policies.policy import BUILT_IN, built_in_text
from scheduler import clock
from scheduler.cli.output import echo_json
from scheduler.cli.policy.written import read_span
from scheduler.errors import Invalid
from scheduler.terminal import Terminal

_COLOURS = {"error": "red", "warning": "yellow", "notice": "cyan"}
#: Remarks on a document that no policy can be read from.
_UNREADABLE = {"unreadable", "unknown_zone"}
_DAY = 86_400


def command(
    files: list[str] = typer.Argument(
        metavar="FILE|DIR…",
        help="Policies, folders that hold *.policy.toml, or built-in policies by name.",
        show_default=False,
    ),
    at: str | None = typer.Option(None, help="The day that counts as today, such as 2026-11-21. Default: today, UTC."),
    within: str = typer.Option("90d", help="How far ahead a date is about to come."),
    countries: str | None = typer.Option(
        None,
        metavar="CODES",
        help="Where your people are, such as DE,AT,US-FL: the laws of other places are left out. "
        "Default: what the file says in a comment, `# lint: people in DE, AT`.",
    ),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Look policies through: rules that never bind, hours that contradict, limits that are missing, dates to come.

    A warning is accepted in the file, with a reason: `# lint: allow no_cap because …`, above the line or the table that
    it is about, or at the end of the line. Ends with 0 where there is nothing but notices and what was accepted, 1 with
    errors or warnings, 2 if a file cannot be read as a policy.
    """
    today, days = _today(at), -(-read_span("within", within, longest=3660 * _DAY) // _DAY)
    places = _places(countries)
    documents = _documents(files)
    remarks = [each for where, text in documents for each in lint(text, where, today=today, within=days, places=places)]
    counts = Counter(remark.level for remark in remarks if remark.accepted is None)
    taken = sum(remark.accepted is not None for remark in remarks)
    if as_json:
        echo_json(
            {
                "files": [where for where, _ in documents],
                "counts": {level: counts[level] for level in LEVELS} | {"accepted": taken},
                "remarks": [asdict(remark) for remark in remarks],
            }
        )
    else:
        _print([each for each in remarks if each.accepted is None], len(documents), counts, taken)
    if any(remark.kind in _UNREADABLE for remark in remarks):
        raise typer.Exit(2)
    if counts["error"] or counts["warning"]:
        raise typer.Exit(1)


def _today(at: str | None) -> date:
    if at is None:
        return datetime.fromtimestamp(clock.now(), UTC).date()
    try:
        return date.fromisoformat(at.strip())
    except ValueError as error:
        raise Invalid(f"`{at}` is not a day", field="at", way_out="write it like 2026-11-21") from error


def _documents(named: Sequence[str]) -> list[tuple[str, str]]:
    """Where each document is and what it says. Raises Invalid before anything is looked at."""
    found: dict[str, str] = {}
    for name in named:
        if name in BUILT_IN:
            found[f"{name}.policy.toml"] = built_in_text(name)
            continue
        path = Path(name)
        paths = [path]
        if path.is_dir():
            # A virtual environment holds the built-in policies, which are nobody's own.
            inside = (each for each in path.rglob("*.policy.toml") if each.is_file())
            paths = sorted(
                each for each in inside if not any(part[0] == "." for part in each.relative_to(path).parts[:-1])
            )
        if not paths:
            raise Invalid(f"{name} holds no *.policy.toml", way_out="name a folder that does, or a file")
        for each in paths:
            found[str(each)] = _read(each)
    return list(found.items())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(BUILT_IN)
        raise Invalid(f"{path}: there is no such file", way_out=f"or name a built-in policy: {known}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: cannot be read: {error}", way_out="it must be a text file in UTF-8") from error


def _places(written: str | None) -> frozenset[str] | None:
    if written is None:
        return None
    places, wrong = read_places(written)
    if wrong:
        raise Invalid(wrong, field="--countries")
    return frozenset(places)


def _print(remarks: Sequence[Remark], files: int, counts: Counter[str], taken: int) -> None:
    console = Terminal(highlight=False)
    for remark in remarks:
        place = f"{remark.where}:{remark.line}" if remark.line else remark.where
        console.print(
            Text(f"{place}: ")
            + Text(remark.level, style=_COLOURS[remark.level])
            + Text(": ")
            + Text(f"{remark.key}: " if remark.key else "", style="bold")
            + Text(remark.message),
            soft_wrap=True,
        )
    looked = "1 policy" if files == 1 else f"{files} policies"
    found = ", ".join(
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}" for level in LEVELS if counts[level]
    )
    accepted = f", {taken} accepted" if taken else ""
    console.print(f"{looked}: {found or 'nothing to remark'}{accepted}")
