"""``duly policy diff``: is a new policy stricter, looser, or both? With somebody for whom it is."""

from __future__ import annotations

import shlex

import typer
from rich.console import Console
from rich.text import Text

from policies.binding import binding_of
from policies.decision import Decision
from policies.diff import Change, Counterexample, Difference, diff
from policies.explain import explain
from policies.facts import facts_to_json
from policies.local_time import wall_clock
from policies.policy import Policy
from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json
from scheduler.cli.policy.answer import decision_as_json
from scheduler.cli.policy.question import load
from scheduler.cli.policy.telling import as_options
from scheduler.cli.policy.written import read_instant
from scheduler.errors import Invalid
from scheduler.terminal import Terminal

_COLOURS = {"stricter": "red", "looser": "green", "both": "yellow", "other reason": "cyan", "none found": "dim"}
_WORDS = {
    "stricter": "stricter", "looser": "looser", "both": "stricter and looser",
    "other reason": "the same permission, for other reasons",
    "none found": "it differs, but nobody was found for whom it matters",
}  # fmt: skip


def command(
    old: str = typer.Argument(
        metavar="OLD", help="A built-in policy, a file, or a stored version.", show_default=False
    ),
    new: str = typer.Argument(metavar="NEW", help="Another one.", show_default=False),
    clause: str | None = typer.Option(None, metavar="ID", help="One clause alone, such as permitted_hours.house."),
    at: str | None = typer.Option(
        None, help="The time to search around, an instant like 2026-03-28T08:00Z. Default: now."
    ),
    seed: int = typer.Option(0, help="For the random part of the search: the same seed, the same search."),
    budget: int = typer.Option(300, min=0, max=100_000, help="Random trials for each clause and for the whole."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Say where a new policy is stricter or looser than an old one, clause by clause, with an example of each.

    It searches: people, histories and instants made so that a clause bites, then random ones. What it finds is so;
    what it does not find may still be. Ends with 0 where the policies say the same, 1 where a clause differs, even if
    nobody was found for whom that matters, 2 if one is invalid.
    """
    before, after = load(old, option="OLD"), load(new, option="NEW")
    now = clock.now()
    around = now - now % 3600 if at is None else read_instant("at", at, now)
    try:
        found = diff(before, after, at=around, seed=seed, budget=budget, clause=clause)
    except ValueError as error:
        raise Invalid(str(error), field="clause") from error
    if as_json:
        echo_json(_as_json(before, after, old, new, found))
    else:
        _print(Terminal(highlight=False), before, old, new, found, clause)
    if not found.same:
        raise typer.Exit(1)


def _print(console: Console, before: Policy, old: str, new: str, found: Difference, clause: str | None) -> None:
    if found.same:
        console.print(f"{new} says the same as {old}", soft_wrap=True)
        return
    direction = found.overall.direction
    about = f"in {clause}, " if clause else ""
    head = Text(f"{about}{new} against {old}: ") + Text(_WORDS[direction], style=f"bold {_COLOURS[direction]}")
    console.print(head, soft_wrap=True)
    for change in found.changes:
        console.print()
        _print_change(console, before, old, change)
    if clause is None and len(found.changes) > 1:
        console.print()
        console.print(Text("all clauses together: ") + _direction(found.overall), soft_wrap=True)
    searched = sum(change.trials for change in found.changes) + (found.overall.trials if clause is None else 0)
    note = "A search proves what it finds, not that there is nothing else."
    console.print(Text(f"\n{searched} trials. {note}", style="dim"), soft_wrap=True)


def _print_change(console: Console, before: Policy, old: str, change: Change) -> None:
    console.print(Text(f"{change.clause}: ", style="bold") + _direction(change), soft_wrap=True)
    console.print(Text(f"  - {change.before or 'not there'}", style="dim"), soft_wrap=True)
    console.print(Text(f"  + {change.after or 'not there'}", style="dim"), soft_wrap=True)
    for name, example in (("stricter", change.stricter), ("looser", change.looser), ("other reason", change.reason)):
        if example is None:
            continue
        console.print(Text(f"  {name}: ", style=_COLOURS[name]) + Text(_local(before, example)), soft_wrap=True)
        console.print(f"    old  {_decided(before, example, example.old)}", soft_wrap=True)
        console.print(f"    new  {_decided(change.against, example, example.new)}", soft_wrap=True)
        console.print(Text(f"    {_ask(old, example)}", style="dim"), soft_wrap=True)


def _direction(change: Change) -> Text:
    direction = change.direction
    words = _WORDS[direction] + (f", in {change.trials} trials" if direction == "none found" else "")
    return Text(words, style=_COLOURS[direction])


def _local(policy: Policy, example: Counterexample) -> str:
    zones = binding_of(policy, example.facts).zones
    if len(zones) != 1 or zones[0] == "UTC":
        return format_instant(example.at)
    return f"{format_instant(example.at)}, {wall_clock(zones[0], example.at)} ({zones[0]})"


def _decided(policy: Policy, example: Counterexample, decision: Decision) -> str:
    if decision.verdict == "send":
        return f"send on {decision.ground}"
    waits = f" until {format_instant(decision.at)}" if decision.at is not None else ""
    _, findings = explain(policy, example.facts, example.at)
    because = [each.words for each in findings if each.rule in decision.because and not each.permits_now]
    return f"{decision.verdict}{waits}, {decision.reason}" + (f" ({'; '.join(because)})" if because else "")


def _ask(policy: str, example: Counterexample) -> str:
    # A clause alone may decide otherwise than the whole new policy: the old one is what can be asked again as it was.
    options = ["--policy", policy, "--at", format_instant(example.at), *as_options(example.facts, example.at)]
    return shlex.join(["duly", "policy", "explain", *options])


def _as_json(before: Policy, after: Policy, old: str, new: str, found: Difference) -> dict[str, object]:
    return {
        "old": {"policy": old, "name": before.name, "version": before.version},
        "new": {"policy": new, "name": after.name, "version": after.version},
        "same": found.same,
        "direction": "same" if found.same else found.overall.direction.replace(" ", "_"),
        "changes": [_change_as_json(before, old, change) for change in found.changes],
        "overall": _change_as_json(before, old, found.overall),
    }


def _change_as_json(before: Policy, old: str, change: Change) -> dict[str, object]:
    return {
        "clause": change.clause or None,
        "before": change.before,
        "after": change.after,
        "direction": change.direction.replace(" ", "_"),
        "trials": change.trials,
        "stricter": _example_as_json(before, old, change.stricter),
        "looser": _example_as_json(before, old, change.looser),
        "other_reason": _example_as_json(before, old, change.reason),
    }


def _example_as_json(before: Policy, old: str, example: Counterexample | None) -> dict[str, object] | None:
    if example is None:
        return None
    zones = binding_of(before, example.facts).zones
    return {
        "at": format_instant(example.at),
        "local": wall_clock(zones[0], example.at) if len(zones) == 1 else None,
        "facts": facts_to_json(example.facts),
        "old": decision_as_json(example.old),
        "new": decision_as_json(example.new),
        "ask": _ask(old, example),
    }
