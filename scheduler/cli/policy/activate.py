"""``duly policy activate``: let a policy decide for a page, after showing what that changes."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from policies.policy import BUILT_IN
from scheduler import clock
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.policy.question import load
from scheduler.doorbell import ring
from scheduler.errors import Invalid
from scheduler.governance.clause_changes import ClauseChange
from scheduler.governance.policies import activate_policy
from scheduler.governance.prospect import Prospect, prospect
from scheduler.pages.registry import get_page
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.terminal import Terminal, confirm, echo


def command(
    page: str = typer.Argument(help="The platform's id of the page."),
    policy: str = typer.Argument(metavar="FILE|BUILTIN", help=f"A policy document, or {' or '.join(BUILT_IN)}."),
    why: str = typer.Option(..., help="Why it changes; kept with your name."),
    actor: str = typer.Option("cli", "--as", metavar="NAME", help="Who activates it."),
    yes: bool = typer.Option(False, "--yes", help="Activate without asking."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would change, and change nothing."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Let a policy decide for a page from now on: shows what changes, asks, and has waiting messages decided anew.

    The document is stored whole, with what it extends written out; nobody can edit it afterwards.
    """
    chosen = load(policy)
    if not why.strip():
        raise Invalid("a reason is needed", field="why", way_out='say why it changes: --why "…"')
    with database.session() as session:
        page_id = get_page(session, page).id
        assert page_id is not None  # a stored page has its id
        seen = prospect(session, page_id, chosen, now=clock.now(), patience=get_settings().look_ahead)
    if not as_json:
        _print(Terminal(highlight=False), page, f"{chosen.name}, version {chosen.version[:12]}", actor, why, seen)
    activated = not dry_run and (yes or _confirmed())
    if activated:
        with database.session() as session:
            # What was shown is what is replaced: somebody else's activation in between is a conflict.
            activate_policy(
                session, page_id, chosen, actor=actor, why=why, now=clock.now(), expected_version=seen.active_version
            )
        ring("deliver")
    if as_json:
        echo_json(
            {
                "activated": activated,
                "page": page,
                "name": chosen.name,
                "version": chosen.version,
                "previous": seen.active_version,
                "previous_name": seen.active_name,
                "actor": actor,
                "why": why,
                "changes": None
                if seen.changes is None
                else [
                    {
                        "clause": each.clause,
                        "kind": each.kind,
                        "before": each.before,
                        "after": each.after,
                        "effect": each.effect,
                        "search": each.search,
                    }
                    for each in seen.changes
                ],
                "effect": seen.effect,
                "search": seen.search,
                "search_note": seen.search_note,
                "waiting": seen.waiting,
            }
        )
    elif activated:
        echo(f"{chosen.name} decides for {page} from now on; `duly policy history {page}` tells who and why")
    else:
        echo("nothing was changed")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise Invalid("nobody can be asked here", field="yes", way_out="add --yes, or --dry-run to look")
    return confirm("activate it?", abort=True, err=True)


def _effect(change: ClauseChange) -> str:
    if change.search == "cut_short":
        return f"{change.effect}, perhaps more" if change.effect else "not known"
    return change.effect or ""


def _print(console: Console, page: str, new: str, actor: str, why: str, seen: Prospect) -> None:
    console.print(f"page {page}: {new}", style="bold", soft_wrap=True, markup=False)
    old = f"{seen.active_name}, version {seen.active_version[:12]}" if seen.active_version else "no policy"
    console.print(f"instead of {old}", soft_wrap=True, markup=False)
    console.print(f"by {actor}, because: {why}", soft_wrap=True, markup=False)
    if seen.changes is None:
        console.print(f"what changes cannot be said: {seen.search_note}", style="yellow", soft_wrap=True)
    else:
        print_table(
            ("clause", "before", "after", "so it is"),
            [(each.clause, each.before or "-", each.after or "-", _effect(each)) for each in seen.changes],
            none="nothing changes in what it says",
        )
        if seen.effect:
            words = {
                "both": "stricter in some cases and looser in others",
                "none found": "no different in any case tried",
            }
            console.print(f"together: {words.get(seen.effect, seen.effect)} (found by search, not proven)")
        if seen.search_note:
            console.print(f"what the changes do is not fully known: {seen.search_note}", style="yellow", soft_wrap=True)
    console.print(f"{seen.waiting} waiting messages are decided anew")
