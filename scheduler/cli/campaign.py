"""``duly campaign``: look at campaigns, see what a launch would do, launch, pause, resume, cancel."""

from __future__ import annotations

import typer

from scheduler import clock
from scheduler.api import campaigns as shown
from scheduler.api.instants import format_instant
from scheduler.campaigns import lifecycle, preview, registry
from scheduler.campaigns.tables import Campaign
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.wording import wait_in_words, words
from scheduler.doorbell import ring
from scheduler.errors import Conflict
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import Terminal, confirm, echo

app = typer.Typer(help="Look at campaigns, preview, launch, pause, resume and cancel them.", no_args_is_help=True)

_ACTOR = "cli"
_CAMPAIGN = typer.Argument(help="The campaign's id.", min=1)
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command("list")
def list_all(
    page: str | None = typer.Option(None, help="Only those of this page, by the platform's id."),
    limit: int = typer.Option(50, min=1, max=1000, help="At most so many."),
    as_json: bool = _JSON,
) -> None:
    """Show campaigns, newest first."""
    with database.session() as session:
        page_id = get_page(session, page).id if page is not None else None
        found = registry.list_campaigns(session, page_id=page_id, before=None, limit=limit)
        rows = shown.views(session, found)
    if as_json:
        echo_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("id", "page", "name", "template", "status", "messages"),
        [(str(row.id), row.page, row.name, row.template, row.status, _counts(row.states)) for row in rows],
        whole=("id", "page", "status"),
        none="no campaigns yet; POST /api/v1/pages/{page}/campaigns makes one",
    )


@app.command()
def show(campaign: int = _CAMPAIGN, as_json: bool = _JSON) -> None:
    """Show one campaign and where its messages are."""
    with database.session() as session:
        row = shown.view(session, registry.get_campaign(session, campaign))
    if as_json:
        echo_json(row.model_dump(mode="json"))
        return
    console = Terminal()
    console.print(f"[bold]{row.id}  {row.name}[/]  {row.status}, page {row.page}", soft_wrap=True)
    console.print(f"template {row.template} (version {row.template_version}), audience {row.audience}")
    if row.priority:
        console.print(f"priority {row.priority:+d} among promotions")
    console.print(_without_ground(row), soft_wrap=True)
    for name, instant in (
        ("launched", row.launched_at),
        ("planned", row.planned_at),
        ("not before", row.not_before),
        ("expires", row.expires_at),
    ):
        if instant is not None:
            console.print(f"{name} {format_instant(instant)}")
    print_table(
        ("state", "messages", "by reason"),
        [(state, str(count), _counts(row.reasons.get(state, {}))) for state, count in row.states.items()],
        none=f"no messages yet; `duly campaign preview {campaign}` shows what a launch would do"
        if row.status == "draft"
        else "no messages yet",
    )
    for wakes_on, messages in row.waits_for.items():
        console.print(wait_in_words(wakes_on, row.expires_at, of=_waiting(messages)), soft_wrap=True)


@app.command("preview")
def look_ahead(campaign: int = _CAMPAIGN, as_json: bool = _JSON) -> None:
    """Show what a launch of a draft now would do: who now, who later, who never, and why. Nothing is stored or sent."""
    with database.session() as session:
        found = registry.get_campaign(session, campaign)
        seen = preview.preview(session, found, clock.now())
    if as_json:
        echo_json(shown.preview_view(seen).model_dump(mode="json"))
        return
    console = Terminal(highlight=False)
    console.print(f"if it were launched at {format_instant(seen.at)}:", soft_wrap=True)
    print_table(
        ("when", "people", "why"),
        [
            ("now", str(seen.now), ""),
            ("later", str(seen.later), _counts(seen.later_reasons)),
            ("waiting", str(seen.waiting), _counts(seen.waiting_reasons)),
            ("never", str(seen.never), _counts(seen.never_reasons)),
        ],
        none="nobody is in its audience",
    )
    for line in _after(seen.after):
        console.print(line, soft_wrap=True)
    console.print(_without_ground(found), soft_wrap=True)
    for wakes_on, people in seen.waits_for.items():
        console.print(wait_in_words(wakes_on, seen.waits_until, of=_waiting(people)), soft_wrap=True)
    if seen.by_hour:
        busiest = max(seen.by_hour.values())
        console.print("\nwhen policy first permits them:")
        print_table(
            ("hour", "messages", ""),
            [
                (format_instant(hour), str(count), "▇" * max(1, round(30 * count / busiest)))
                for hour, count in seen.by_hour.items()
            ],
            none="",
        )
    if seen.samples:
        console.print("\nsome of them:")
    for sample in seen.samples:
        when = f" at {format_instant(sample.at)}" if sample.at is not None else ""
        why = f", {words(sample.reason, sample.verdict)}" if sample.reason else ""
        why += "".join(f", after {owner}'s" for owner in sample.after)
        verdict = "never goes" if sample.verdict == "deny" else "waits" if sample.at is None else "goes"
        console.print(f"{sample.psid}: {verdict}{when}{why}", soft_wrap=True, highlight=False)


@app.command()
def launch(campaign: int = _CAMPAIGN, yes: bool = typer.Option(False, "--yes", help="Launch without asking.")) -> None:
    """Launch a draft, once."""
    if not yes:
        with database.session() as session:
            found = registry.get_campaign(session, campaign)
            if found.status != "draft":
                raise Conflict(
                    f"campaign {campaign} was launched already and is {found.status}",
                    field="campaign",
                    way_out="a campaign goes out once; create another one",
                )
            seen = preview.preview(session, found, clock.now())
        for line in _after(seen.after):
            echo(line, err=True)
        counted = f"{seen.now} now, {seen.later} later, {seen.waiting} waiting, {seen.never} never"
        confirm(f"{counted}; {_without_ground(found)}: launch?", abort=True, err=True)
    with database.session() as session:
        made = lifecycle.launch(session, campaign, actor=_ACTOR, now=clock.now())
    ring("plan")
    rule = _without_ground(made)
    echo(f"launched {made.name}; {rule}; `duly campaign show {campaign}` tells where its messages are")


@app.command()
def pause(campaign: int = _CAMPAIGN) -> None:
    """Hold what has not gone out."""
    with database.session() as session:
        made = lifecycle.pause(session, campaign, actor=_ACTOR, now=clock.now())
    echo(f"paused {made.name}; `duly campaign resume {campaign}` lets it go on")


@app.command()
def resume(campaign: int = _CAMPAIGN) -> None:
    """Go on after a pause."""
    with database.session() as session:
        made = lifecycle.resume(session, campaign, actor=_ACTOR, now=clock.now())
    ring("plan", "deliver")
    echo(f"{made.name} goes on")


@app.command()
def cancel(campaign: int = _CAMPAIGN, yes: bool = typer.Option(False, "--yes", help="Cancel without asking.")) -> None:
    """Take back everything that has not been sent."""
    if not yes:
        confirm("take back everything that has not been sent?", abort=True, err=True)
    with database.session() as session:
        made = lifecycle.cancel(session, campaign, actor=_ACTOR, now=clock.now())
    echo(f"cancelled {made.name}")


def _after(after: dict[str, int]) -> list[str]:
    """Such as "12 later, waiting or never: after campaign 3's, scheduled for them already"."""
    return [
        f"{people} later, waiting or never: after {owner}'s, scheduled for them already"
        for owner, people in after.items()
    ]


def _without_ground(campaign: Campaign | shown.CampaignView) -> str:
    """What becomes of people who cannot be written to yet, in a clause."""
    if not campaign.may_wait:
        return "people who cannot be written to yet are denied"
    end = f"until {format_instant(campaign.expires_at)}" if campaign.expires_at is not None else "for 30 days"
    return f"messages to people who cannot be written to yet wait for them {end}"


def _waiting(count: int) -> str:
    return f"{count} {'waits' if count == 1 else 'wait'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
