"""An import as a person reads it on a terminal: the mapping with an example, what is wrong, what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scheduler.api import imports as shown
from scheduler.api.instants import format_instant
from scheduler.cli.output import print_table
from scheduler.terminal import Terminal, echo


def show_mapping(before: shown.ImportPreview) -> None:
    """Which column is taken for what, with the first row as it would be applied."""
    made = before.import_
    echo(f"import {made.id}: {made.name}, {_of(made.rows, 'rows')}")
    rows = [(header, made.mapping.get(header, "-"), _example(before, header)) for header in made.headers]
    rows += [("(every row)", field, value) for field, value in made.constants.items()]
    print_table(("column", "field", "line " + str(before.rows[0].line if before.rows else 2)), rows, none="")
    left_out = [header for header in made.headers if header not in made.mapping]
    if left_out:
        echo(f"not imported: {', '.join(left_out)}; --map COLUMN=FIELD takes a column")


def _example(before: shown.ImportPreview, header: str) -> str:
    if not before.rows:
        return ""
    field, first = before.import_.mapping.get(header), before.rows[0]
    wrong = next((each for each in first.problems if each["field"] == field and field), None)
    if wrong:
        return f"{wrong['severity']}: {wrong['problem']}"
    return _told(first, field) if field else ""


def _told(row: shown.PreviewRow, field: str) -> str:
    known: Any = row.known
    if field == "psid":
        return row.psid or ""
    if field.startswith("attributes."):
        return str(known.get("attributes", {}).get(field.removeprefix("attributes.").partition(":")[0], ""))
    if field.startswith("consent."):
        given = known.get("consents", [{}])[-1].get(field.removeprefix("consent."))
        return format_instant(given) if isinstance(given, int) else str(given or "")
    if field == "timezone":
        return " | ".join(known.get("timezones", ()))
    if field in ("consents", "opt_outs"):
        return str(len(known.get(field, ())) or "")
    if field.startswith("opted_out"):
        return ", ".join(each["topic"] or "everything" for each in known.get("opt_outs", ()))
    return str(dict(known.get("links", ())).get(field, known.get(field, "")))


def _of(count: int, things: str) -> str:
    return f"{count} {things.removesuffix('s') if count == 1 else things}"


def _warning(each: shown.ErrorKind) -> str:
    return f"left out: {each.problem}" if each.severity == "dropped" else each.problem


def show_outcome(seen: shown.ImportView, *, dry_run: bool, errors: Path | None) -> None:
    """What is wrong, what was done, and how to go on; ``errors`` is the file that has all that is wrong."""
    console = Terminal(highlight=False)
    if seen.warnings:
        print_table(
            ("rows", "first line", "field", "to look at"),
            [(str(each.rows), str(each.first_line), each.field or "-", _warning(each)) for each in seen.warnings],
            none="",
        )
    if seen.bad:
        print_table(
            ("rows", "first line", "field", "what is wrong"),
            [(str(each.rows), str(each.first_line), each.field or "-", each.problem) for each in seen.errors],
            none="",
        )
        where = f"{errors} has" if errors is not None else f"`duly contacts errors {seen.id}` prints"
        have = "has" if seen.rows == 1 else "have"
        console.print(f"{seen.bad} of {_of(seen.rows, 'rows')} {have} errors; {where} all of them", soft_wrap=True)
    if seen.status == "applied":
        told = ", ".join(_of(count, name.replace("_", "-")) for name, count in seen.counts.items() if count)
        console.print(f"applied: {told or 'nothing new'}", soft_wrap=True)
    elif dry_run:
        console.print(f"{_of(seen.rows - seen.bad, 'rows')} would be applied; nothing was changed", soft_wrap=True)
    elif seen.status == "failed":
        console.print(
            f"stopped by something unexpected after {seen.done} rows; the log says what, "
            f"and `duly contacts import --resume {seen.id}` goes on",
            soft_wrap=True,
        )
    else:
        console.print(
            f"none was applied; correct the file and import it again, or apply the good rows: "
            f"`duly contacts import --resume {seen.id} --skip-errors`",
            soft_wrap=True,
        )
