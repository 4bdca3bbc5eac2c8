"""``duly policy test``: run scenario files, and say what is not as expected."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import typer

from policies.law import jurisdictions_with_packs
from policies.scenarios.coverage import Coverage, coverage_as_json, coverage_lines
from policies.scenarios.find import find_files
from policies.scenarios.model import Scenario
from policies.scenarios.parse import load_scenarios
from policies.scenarios.report import as_json, failure_lines, place, summary
from policies.scenarios.run import Result, run_all
from policies.scenarios.select import chooser
from policies.toml_source import PolicyError
from scheduler.cli.output import echo_json
from scheduler.errors import Invalid
from scheduler.neutral import plain
from scheduler.terminal import Terminal, echo

#: Whoever waits longer than this is told how far it is, and then as often.
_PATIENCE = 2.0

_Each = TypeVar("_Each")


def command(
    files: list[Path] = typer.Argument(
        metavar="FILE|DIR", help="Scenario files, or folders that hold *.scenarios.toml.", show_default=False
    ),
    select: str | None = typer.Option(
        None, "-k", metavar="EXPR", help='Only names that hold these words: "window and not (night or cap)".'
    ),
    junit: Path | None = typer.Option(None, metavar="FILE", help="Write a JUnit XML report for a CI service."),
    covered: bool = typer.Option(False, "--coverage", help="Say which rules, entries and pack rows never decided."),
    fail_under: float | None = typer.Option(
        None, metavar="PCT", min=0, max=100, help="Fail where fewer of a hundred decided something."
    ),
    coverage_of: str = typer.Option(
        "met",
        metavar="CODES",
        help="Whose pack rows count: `met` (where the scenarios' contacts live), `all`, or codes such as US,FR.",
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="A line for every scenario."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Nothing but failures."),
    json_: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Test policies: run scenarios, each at the instants that it states itself.

    Every file is checked as a whole before anything runs. Ends with 0 if all is as expected, 1 if a scenario failed, 2
    if a file or an option cannot be used. --fail-under fails like a scenario.
    """
    started = time.monotonic()
    places = _places(coverage_of)
    scenarios, count = _read(files)
    chosen = _choose(scenarios, select)
    if junit is not None:
        _make_folder(junit)
    coverage = Coverage() if covered or fail_under is not None else None
    observe = coverage.observe if coverage is not None else None
    results = list(_told("ran", run_all(chosen, observe), len(chosen)))
    report = coverage.report(places) if coverage is not None else None
    if json_:
        echo_json(as_json(results) | ({} if report is None else {"coverage": coverage_as_json(report)}))
    else:
        _print(results, count, time.monotonic() - started, verbose=verbose, quiet=quiet)
        if report is not None and not quiet:
            echo("\n".join(coverage_lines(report)))
    if junit is not None:
        _write_junit(results, junit)
    short = report is not None and fail_under is not None and report.percent < fail_under
    if report is not None and short:
        echo(f"clause coverage of {report.percent:.1f} % is below the {fail_under:g} % asked for", err=True)
    if short or not all(result.passed for result in results):
        raise typer.Exit(1)


def _read(named: Sequence[Path]) -> tuple[list[Scenario], int]:
    try:
        paths = find_files(named)
        files = list(_told("read", (load_scenarios(path) for path in paths), len(paths), "files"))
    except PolicyError as error:
        raise Invalid(str(error)) from error
    return [scenario for file in files for scenario in file.scenarios], len(files)


def _places(written: str) -> tuple[str, ...] | None:
    if written == "met":
        return None
    known = jurisdictions_with_packs()
    if written == "all":
        return tuple(known)
    codes = tuple(code.strip() for code in written.split(","))
    for code in codes:
        if code not in known:
            raise Invalid(
                f"`{code}` has no pack", field="--coverage-of", way_out=f"use met, all or of {', '.join(sorted(known))}"
            )
    return codes


def _choose(scenarios: list[Scenario], select: str | None) -> list[Scenario]:
    if select is None:
        return scenarios
    try:
        wanted = chooser(select)
    except ValueError as error:
        raise Invalid(str(error), field="-k") from error
    chosen = [scenario for scenario in scenarios if wanted(scenario.name)]
    if not chosen:
        raise Invalid(f"`{select}` chooses none of {len(scenarios)} scenarios", field="-k")
    return chosen


def _make_folder(path: Path) -> None:
    """The folder of the report, before anything runs: what cannot be written is better known now than at the end."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    if path.is_dir():
        raise Invalid(f"`{path}` is a folder", field="--junit", way_out="name a file in it, such as report.xml")


def _unwritable(path: Path, error: OSError) -> Invalid:
    return Invalid(
        f"`{path}` cannot be written: {error.strerror}", field="--junit", way_out="name a file in a folder of yours"
    )


def _write_junit(results: Sequence[Result], path: Path) -> None:
    from policies.scenarios.junit import write_junit  # an XML library that only this option needs

    try:
        write_junit(results, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _print(results: Sequence[Result], files: int, seconds: float, *, verbose: bool, quiet: bool) -> None:
    # Rich decides about colours, and no more: it takes milliseconds for what a failure has to say.
    coloured = Terminal().color_system is not None
    for result in results:
        if not result.passed:
            mark = typer.style("FAIL", fg=typer.colors.RED, bold=True)
            lines = [f"{mark} {plain(place(result))}  {plain(result.scenario.name)}"]
            lines += map(plain, failure_lines(result))
            echo("\n".join(lines), color=coloured, styled=True)
        elif verbose:
            mark = typer.style("ok  ", fg=typer.colors.GREEN)
            name = f"{plain(place(result))}  {plain(result.scenario.name)}"
            echo(f"{mark} {name}", color=coloured, styled=True)
    failed = not all(result.passed for result in results)
    if failed or not quiet:
        counts = f"{summary(results, files)}, {seconds:.2f} s"
        echo(typer.style(counts, fg=typer.colors.RED if failed else typer.colors.GREEN), color=coloured, styled=True)


def _told(verb: str, each: Iterator[_Each], total: int, what: str = "scenarios") -> Iterator[_Each]:
    # On standard error, so that a report on standard output stays one.
    last = time.monotonic()
    for number, found in enumerate(each, start=1):
        yield found
        if number < total and time.monotonic() - last >= _PATIENCE:
            last = time.monotonic()
            sys.stderr.write(f"{verb} {number:,} of {total:,} {what}\n")
