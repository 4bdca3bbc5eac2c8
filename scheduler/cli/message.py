"""``duly message``: look at messages, and at every decision behind one."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.text import Text

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.api.messages import ContentView, LogView, MessageStory, MessageView, story, summary
from scheduler.cli.output import echo_json, print_findings, print_table
from scheduler.cli.wording import wait_in_words, words
from scheduler.errors import Invalid
from scheduler.facts import messages
from scheduler.outbox.states import STATES
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import Terminal, echo

app = typer.Typer(help="Look at messages and at why they went, wait, or never go.", no_args_is_help=True)

_JSON = typer.Option(False, "--json", help="As JSON.")
#: Columns of a terminal on which a list of messages can name their pages.
_ROOM_FOR_PAGES = 100


@app.command("list")
def list_some(
    page: str | None = typer.Option(None, help="Only those of this page, by the platform's id."),
    campaign: int | None = typer.Option(None, min=1, help="Only those of this campaign."),
    psid: str | None = typer.Option(None, help="Only those to this person, by the page-scoped id."),
    state: str | None = typer.Option(None, help=f"Only those in this state: {', '.join(STATES)}."),
    reason: str | None = typer.Option(None, help="Only those with this reason, quiet_hours, say."),
    limit: int = typer.Option(50, min=1, max=10_000, help="At most so many."),
    as_json: bool = _JSON,
) -> None:
    """Show messages, newest first."""
    if state is not None and state not in STATES:
        raise Invalid(f"`{state}` is not a state", field="state", way_out=f"use one of {', '.join(STATES)}")
    with database.session() as session:
        found = messages.list_messages(
            session,
            limit=limit,
            page_id=get_page(session, page).id if page is not None else None,
            campaign_id=campaign,
            psid=psid,
            state=state,
            reason=reason,
        )
    rows = [MessageView.model_validate(row) for row in found]
    if as_json:
        echo_json([row.model_dump(mode="json") for row in rows])
        return
    # Whoever asks for one page or one campaign knows the page; elsewhere a narrow terminal has no room for it.
    console = Terminal()
    narrow = console.is_terminal and console.width < _ROOM_FOR_PAGES
    pages = [] if page or campaign or narrow else ["page"]
    print_table(
        ("id", *pages, "person", "template", "state", "next", "why"),
        [
            (str(row.id), *(row.page for _ in pages), row.psid, row.template, row.state, _next(row), row.reason or "")
            for row in rows
        ],
        whole=("id", "page", "person", "state", "next"),
        none="no messages are like that" if page or campaign or psid or state or reason else "no messages yet",
    )


@app.command("summary")
def count(as_json: bool = _JSON) -> None:
    """Show how many messages are in which state, and why."""
    with database.session() as session:
        counted = summary(session, clock.now())
    if as_json:
        echo_json(counted.model_dump(mode="json"))
        return
    print_table(
        ("state", "messages", "by reason"),
        [
            (state, str(number), ", ".join(f"{why} {n}" for why, n in counted.reasons.get(state, {}).items()))
            for state, number in counted.states.items()
        ],
        none="no messages yet; launch a campaign or post an event",
    )
    if not counted.exact:
        echo("estimated from a sample: there are many")
    if counted.states:
        echo(f"going out: {counted.sent_per_second:.1f} a second, {counted.sent_last_minute} in the last minute")


@app.command()
def show(message: int = typer.Argument(help="The message's id.", min=1), as_json: bool = _JSON) -> None:
    """Show one message's whole way, with every decision explained."""
    with database.session() as session:
        found = story(session, message)
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    console = Terminal(highlight=False)
    _head(console, found)
    for row in found.log:
        _arrow(console, row)
    for attempt in found.attempts:
        answer = f", the platform answered {attempt.http_status}" if attempt.http_status is not None else ""
        code = f" with error {attempt.code}" if attempt.code is not None else ""
        code += f"/{attempt.subcode}" if attempt.subcode is not None else ""
        line = f"attempt {attempt.id}, begun {format_instant(attempt.begun_at)}: {attempt.outcome}{answer}{code}"
        console.print(line, soft_wrap=True)
        if attempt.content is not None:
            _said(console, attempt.content)


def _said(console: Console, content: ContentView) -> None:
    """What a request said. Control characters in it are not the terminal's."""
    if content.text is not None:
        for line in content.text.splitlines():
            console.print(Text("    " + "".join(each if each.isprintable() else "?" for each in line)), soft_wrap=True)
    else:
        named = ", ".join(f"{name}={value!r}" for name, value in content.utility_parameters.items())
        console.print(Text(f"    utility template {content.utility_name}: {named}"), soft_wrap=True)
    console.print(Text(f"    in {content.locale}", style="dim"), soft_wrap=True)


def _head(console: Console, found: MessageStory) -> None:
    origin = f"campaign {found.campaign_id}" if found.campaign_id is not None else f"event {found.event_id}"
    if found.confirms_record_id is not None:
        origin = "an opt-out, to confirm it"
    console.print(Text(f"message {found.id}: {found.state}", style="bold"), soft_wrap=True)
    console.print(
        f"{found.category} template {found.template}, version {found.template_version}, of {origin}, "
        f"to {found.psid} on page {found.page}",
        soft_wrap=True,
    )
    if found.state == "scheduled":
        console.print(_waits(found.due_at, found.wakes_on, _end(found)), soft_wrap=True)
    if found.deadline is not None and not _awaits_person(found):
        console.print(f"policy permits it until {format_instant(found.deadline)} at the latest", soft_wrap=True)
    console.print()


def _arrow(console: Console, row: LogView) -> None:
    line = Text(f"{format_instant(row.at)}  ", style="dim")
    line += Text(row.to_state if row.from_state is None else f"{row.from_state} → {row.to_state}", style="bold")
    line += Text(f"  by {row.actor}", style="dim")
    console.print(line, soft_wrap=True)
    if row.verdict is not None:
        console.print(f"    {_decision(row)}", soft_wrap=True)
    elif row.reason:
        console.print(f"    because {words(row.reason)}", soft_wrap=True)
    print_findings(console, row.findings, indent="      ")


def _decision(row: LogView) -> str:
    why = f" because {words(row.reason, row.verdict)}" if row.reason else ""
    if row.verdict == "send":
        return f"it may go now, on the ground {row.ground or 'unknown'}"
    if row.verdict == "defer":
        return (f"it waits until {format_instant(row.until)}" if row.until is not None else "it waits") + why
    return f"it must not go{why}"


def _next(row: MessageView) -> str:
    if row.state != "scheduled":
        return ""
    if row.due_at is not None:
        return f"{format_instant(row.due_at)[:16]}Z"
    end = _end(row)
    waits = f"for {words(row.wakes_on) if row.wakes_on else 'somebody'}"
    return f"{waits}, until {format_instant(end)[:16]}Z" if end is not None else waits


def _awaits_person(row: MessageView) -> bool:
    """Whether it is parked until the person writes or their zone is known: nothing is permitted before."""
    return row.state == "scheduled" and row.due_at is None and row.wakes_on in ("inbound", "zone_evidence")


def _end(row: MessageView) -> int | None:
    """When a parked message is waited for no longer, epoch seconds: its expiry, or the end of what was permitted."""
    if row.may_wait:
        return row.expires_at
    ends = [each for each in (row.deadline, row.expires_at) if each is not None]
    return min(ends, default=None)


def _waits(due_at: int | None, wakes_on: str | None, until: int | None) -> str:
    if due_at is not None:
        return f"it is looked at again {format_instant(due_at)}"
    return wait_in_words(wakes_on, until)
