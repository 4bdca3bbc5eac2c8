"""``duly ops``: how things stand, what will not be sent in time, and the kill switches."""

from __future__ import annotations

import time
from collections.abc import Callable

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scheduler import clock
from scheduler.api import governance
from scheduler.api import ops as doors
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.pipe import nobody_reads
from scheduler.cli.wording import words
from scheduler.doorbell import ring
from scheduler.errors import NotFound
from scheduler.governance import switches
from scheduler.governance.tables import KillSwitch
from scheduler.inbox.web_processes import acknowledge_gone
from scheduler.store import database
from scheduler.terminal import Terminal, confirm, echo

app = typer.Typer(help="See how things stand, and stop or resume sending.", no_args_is_help=True)

_JSON = typer.Option(False, "--json", help="As JSON.")
_PAGE = typer.Option(None, help="One page alone, by the platform's id.")
_CAMPAIGN = typer.Option(None, min=1, max=2**63 - 1, help="One campaign alone.")
_CATEGORY = typer.Option(None, help="One category alone: promotional, utility, service.")
_AS = typer.Option("cli", "--as", help="Who does it; it is kept.")
_YES = typer.Option(False, "--yes", help="Do it without asking.")


@app.command()
def status(
    watch: bool = typer.Option(False, "--watch", help="Go on until Ctrl-C."),
    every: float = typer.Option(2.0, min=0.5, help="With --watch: real seconds between two looks."),
    as_json: bool = _JSON,
) -> None:
    """Show what is due, held, on its way and in doubt, the workers, breakers, the pace, and what needs a person."""
    if as_json:

        def told() -> None:
            echo_json(_status().model_dump(mode="json"))

        told()
        if watch:
            _until_interrupted(told, every)
        return
    console = Terminal(highlight=False)
    if not watch:
        console.print(_drawn(_status()))
        return
    with Live(_drawn(_status()), console=console, auto_refresh=False, screen=console.is_terminal) as live:
        _until_interrupted(lambda: live.update(_drawn(_status()), refresh=True), every)


@app.command("at-risk")
def at_risk(
    hours: int = typer.Option(24, min=1, max=24 * 7, help="How far ahead."),
    as_json: bool = _JSON,
) -> None:
    """Forecast which messages will expire unsent, and when, from the pages' rates and the messages' deadlines."""
    with database.session() as session:
        found = doors.forecast(session, clock.now(), hours)
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    if not found.at_risk:
        echo(f"nothing that can be sent will run out of time within {hours} hours")
    else:
        needed = {page.page: page for page in found.pages}
        print_table(
            ("page", "lane", "waiting", "will expire", "first", "last", "rate", "needed"),
            [
                (
                    lane.page, lane.lane, str(lane.waiting), str(lane.at_risk), _when(lane.first_at),
                    _when(lane.last_at), f"{needed[lane.page].sustained:g}/s", _needed(needed[lane.page]),
                )
                for lane in found.lanes
                if lane.at_risk
            ],
            whole=("page", "will expire", "first", "last"),
            none="",
        )  # fmt: skip
    if found.held:
        echo("\nheld, and expire unless what holds them ends:")
        print_table(
            ("page", "lane", "messages", "held because", "first", "last"),
            [
                (each.page, each.lane, str(each.count), words(each.reason), _when(each.first_at), _when(each.last_at))
                for each in found.held
            ],
            whole=("page", "first", "last"),
            none="",
        )


@app.command()
def stop(
    why: str = typer.Option(..., help="Why; it is kept."),
    page: str | None = _PAGE,
    campaign: int | None = _CAMPAIGN,
    category: str | None = _CATEGORY,
    actor: str = _AS,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would stop."),
    yes: bool = _YES,
    as_json: bool = _JSON,
) -> None:
    """Engage a kill switch: nothing in its scope begins any more. Shows what it stops and asks."""
    if not dry_run:
        # Before anybody is asked to confirm.
        switches.check_words(actor, why)
    if dry_run or not yes:
        with database.session() as session:
            seen = governance.radius_view(session, governance.scope_of(session, page, campaign, category))
        if dry_run and as_json:
            echo_json(seen.model_dump(mode="json"))
            return
        if dry_run:
            echo(_radius(seen))
            return
        confirm(f"{_radius(seen)}\nstop them?", abort=True, err=True)
    with database.session() as session:
        scope = governance.scope_of(session, page, campaign, category)
        made = governance.view(session, switches.engage(session, scope, actor=actor, why=why, now=clock.now()))
    if as_json:
        echo_json(made.model_dump(mode="json"))
        return
    echo(f"stopped: {_scope(made)}; `duly ops resume {made.id}` lets it go on")


@app.command()
def resume(
    switch: int | None = typer.Argument(
        None, help="The switch; left out: the only one that is engaged.", min=1, max=2**31 - 1
    ),
    actor: str = _AS,
    as_json: bool = _JSON,
) -> None:
    """Release a kill switch: what waited is decided anew."""
    with database.session() as session:
        chosen = switch if switch is not None else _only(switches.engaged(session))
        released = governance.view(session, switches.release(session, chosen, actor=actor, now=clock.now()))
    ring("deliver")
    if as_json:
        echo_json(released.model_dump(mode="json"))
        return
    echo(f"goes on: {_scope(released)}")


@app.command("switches")
def list_switches(as_json: bool = _JSON) -> None:
    """Show the kill switches that are engaged."""
    with database.session() as session:
        found = [governance.view(session, each) for each in switches.engaged(session)]
    if as_json:
        echo_json([each.model_dump(mode="json") for each in found])
        return
    print_table(
        ("id", "stops", "since", "who", "why"),
        [(str(each.id), _scope(each), format_instant(each.engaged_at), each.actor, each.why) for each in found],
        whole=("id", "since"),
        none="no kill switch is engaged",
    )


@app.command("web-gone")
def web_gone(
    process: str = typer.Argument(help="The web process, as `duly ops status` names it."), actor: str = _AS
) -> None:
    """Acknowledge that a web process is gone for good: it is no alert any more."""
    with database.session() as session:
        acknowledge_gone(session, process, actor=actor, now=clock.now())
    echo(f"{process} is not missed any more")


def _status() -> doors.StatusView:
    with database.session() as session:
        return doors.status(session, clock.now())


def _until_interrupted(look: Callable[[], None], every: float) -> None:
    try:
        while not nobody_reads():
            time.sleep(every)
            look()
    except KeyboardInterrupt:
        pass


def _drawn(seen: doors.StatusView) -> Group:
    about = "" if seen.exact else "about "
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for state in ("due", "sending", "in_doubt", "scheduled"):
        lanes = seen.messages.get(state, {})
        text = f"{about}{sum(lanes.values())}" + (f" ({_counts(lanes)})" if lanes else "")
        if state == "due" and seen.due_oldest_seconds:
            text += f", the oldest for {max(seen.due_oldest_seconds.values())} s"
        table.add_row(words(state), text)
    sampled = "" if seen.held.exact else "about, by a sample: "
    table.add_row("held", sampled + (_counts(seen.held.waiting) or "none until an instant"))
    table.add_row("parked", sampled + (_counts(seen.held.parked) or "none until something happens"))
    for order in seen.waking:
        table.add_row("waking", _order(order))
    for events in seen.waiting_events:
        about = (
            f"{events.events} events of page {events.page} are about somebody whose {events.person_kind} no contact has"
        )
        table.add_row("for nobody", f"{about}, since {format_instant(events.oldest)}")
    for campaign in seen.paused:
        since = f", since {format_instant(campaign.since)}" if campaign.since is not None else ""
        table.add_row("paused", f"campaign {campaign.id} {campaign.name} of page {campaign.page}{since}")
    table.add_row("dead letters", _counts(seen.dead_letters) or "none")
    table.add_row("pace", f"{seen.out_per_second:.1f} out, {seen.in_per_second:.1f} in a second")
    names = seen.workers.names
    table.add_row("workers", "unknown" if names is None else ", ".join(names) or "none")
    table.add_row("beat", ", ".join(f"{task} {age} s ago" for task, age in sorted(seen.workers.beat_seconds.items())))
    for trouble in seen.webhooks:
        what = f"{trouble.reason} {trouble.recent} in five minutes, {trouble.total} ever"
        about_page = f"page {trouble.page}" if trouble.page else "no page of ours"
        table.add_row("webhooks", f"{about_page}: {what}, the last {format_instant(trouble.last_at)}")
    for page in seen.pages:
        parts = [f"breaker {words(page.breaker)}"] if page.breaker not in (None, "closed") else []
        parts += (
            [f"throttled for {page.throttled_for:.0f} s ({page.throttled_because or 'nobody said why'})"]
            if page.throttled_for
            else []
        )
        parts += [f"stopped: {page.stopped_reason}"] if page.stopped_reason else []
        table.add_row(f"page {page.page}", ", ".join(parts))
    alerts = [
        Text(f"! {f'page {alert.page}: ' if alert.page else ''}{alert.words}", style="red") for alert in seen.alerts
    ]
    ending = alerts or [Text("nothing needs a person", style="green")]
    return Group(Text(format_instant(seen.at), style="dim"), table, *ending)


def _order(order: doors.WakingView) -> str:
    what = f"campaign {order.campaign}" if order.campaign is not None else f"page {order.page}"
    what += f", {order.category}" if order.category is not None else ""
    since = f"since {format_instant(order.ordered_at)}, {order.woken} so far"
    return (
        f"{what}: {'all that waits' if order.wakes_on is None else f'what waited for {words(order.wakes_on)}'}, {since}"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _radius(seen: governance.RadiusView) -> str:
    about = "" if seen.exact else "about "
    lines = [f"{about}{seen.messages} messages would wait"]
    lines += [f"  {state}: {_counts(lanes)}" for state, lanes in seen.waiting.items()]
    if seen.on_the_wire:
        lines.append(f"  {seen.on_the_wire} are on the wire: no switch stops those")
    if seen.campaign_count:
        named = ", ".join(f"{each.id} {each.name} ({each.status})" for each in seen.campaigns)
        more = seen.campaign_count - len(seen.campaigns)
        lines.append(f"  of {seen.campaign_count} campaigns: {named}" + (f" and {more} more" if more else ""))
    return "\n".join(lines)


def _scope(switch: governance.SwitchView) -> str:
    if switch.campaign is not None:
        return f"campaign {switch.campaign}"
    what = f"all {switch.category} messages" if switch.category is not None else "everything"
    return what if switch.page is None else f"{what} of page {switch.page}"


def _only(engaged: list[KillSwitch]) -> int:
    if len(engaged) != 1 or engaged[0].id is None:
        raise NotFound(
            f"{len(engaged)} kill switches are engaged", field="switch", way_out="`duly ops switches` shows their ids"
        )
    return engaged[0].id


def _needed(page: doors.PageCapacity) -> str:
    return f"{page.needed:g}/s" if page.needed is not None else "no rate would do"


def _when(instant: int | None) -> str:
    return format_instant(instant) if instant is not None else ""
