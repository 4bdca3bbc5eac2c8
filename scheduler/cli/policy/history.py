"""``duly policy history``: which policies a page had, who activated them, why, and what each changed."""

from __future__ import annotations

import typer

from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, print_table
from scheduler.governance.active import policies_by_version
from scheduler.governance.history import history
from scheduler.governance.prospect import activation_changes
from scheduler.pages.registry import get_page
from scheduler.store import database


def command(
    page: str = typer.Argument(help="The platform's id of the page."),
    limit: int = typer.Option(50, min=1, max=1000, help="At most so many."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Show which policies decided for a page, newest first: who activated each, when, why, and what it changed."""
    with database.session() as session:
        page_id = get_page(session, page).id
        assert page_id is not None  # a stored page has its id
        found = history(session, page_id, limit=limit)
        known = policies_by_version(session, {name for each in found for name in (each.version, each.previous or "")})
    rows = [(each, activation_changes(each, known)) for each in found]
    if as_json:
        echo_json(
            [
                {
                    "id": each.id,
                    "name": each.name,
                    "version": each.version,
                    "activated_by": each.actor,
                    "why": each.why,
                    "activated_at": format_instant(each.activated_at),
                    "previous": each.previous,
                    "changes": None
                    if changes is None
                    else [
                        {"clause": one.clause, "kind": one.kind, "before": one.before, "after": one.after}
                        for one in changes
                    ],
                }
                for each, changes in rows
            ]
        )
        return
    print_table(
        ("when", "policy", "version", "who", "why", "changed"),
        [
            (
                format_instant(each.activated_at),
                each.name,
                each.version[:12],
                each.actor,
                each.why,
                "" if changes is None else ", ".join(one.clause for one in changes),
            )
            for each, changes in rows
        ],
        whole=("when", "version"),
        none="no policy was ever activated",
    )
