"""``duly policy forecast``: when a message may go in the hours to come, as a strip."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import typer
from rich.text import Text

from policies.binding import binding_of
from policies.case import HORIZON
from policies.forecast import Stretch
from policies.forecast import forecast as look_ahead
from policies.local_time import DAY, offset_at
from policies.terms import duration
from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json
from scheduler.cli.policy.answer import print_not_told, print_version, question_as_json, sentence
from scheduler.cli.policy.question import asked
from scheduler.cli.policy.strip import local, strip
from scheduler.cli.policy.told import Told, tells
from scheduler.cli.policy.written import read_span
from scheduler.terminal import Terminal


@tells
def command(
    told: Told,
    span: str = typer.Option("48h", help="How far to look ahead, at most 30d."),
    guard: bool = typer.Option(False, "--guard", help="Ask for the send guard, as plan and dispatch do."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Show when a message may go to somebody in the hours to come, and what stands in the way in between.

    Told by options, nothing needs to run. --contact and --message read the database; options then add to it. Times are
    the person's own, where their zone is known.
    """
    question, length = asked(told), read_span("span", span, longest=HORIZON)
    remaining = clock.guard_seconds() if guard else 0
    found = look_ahead(question.policy, question.facts, question.at, span=length, min_remaining=remaining)
    zones = binding_of(question.policy, question.facts).zones
    zone = zones[0] if len(zones) == 1 else "UTC"
    if as_json:
        echo_json(
            {
                **question_as_json(question, found.decision),
                "span": length,
                "timezone": zone,
                "stretches": [_as_json(stretch, zone) for stretch in found.stretches],
            }
        )
        return
    console = Terminal(highlight=False)
    console.print(sentence(found.decision, question.at, ends_at=question.facts.expires_at), soft_wrap=True)
    console.print()
    for line in strip(found.stretches, zone, width=console.width, ascii_only=console.options.ascii_only):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(Text(f"local time in {zone}" if len(zones) == 1 else _unsure(len(zones)), style="dim"))
    for stretch in found.stretches:
        console.print(_line(stretch, zone), soft_wrap=True)
    print_not_told(console, question)
    print_version(console, question)


def _unsure(zones: int) -> str:
    return f"times in UTC: {zones} time zones are possible"


def _line(stretch: Stretch, zone: str) -> Text:
    start, end = local(zone, stretch.start), local(zone, stretch.end)
    if start[:10] == end[:10]:
        end = end[11:]
    elif stretch.end - stretch.start < 6 * DAY:
        # A weekday says which one is meant.
        end = f"{end[:3]} {end[11:]}"
    told = Text(f"  {start} - {end:<9}  {_length(stretch.end - stretch.start):>6}  ")
    if stretch.permitted:
        return told + Text(f"may go on {stretch.ground}", style="green")
    # The first rule's reason says more than its name; the others stand in the way as well.
    return told + Text(", ".join([stretch.reason or "", *stretch.because[1:]]), style="red")


def _length(seconds: int) -> str:
    """Rounded to minutes, where there are any."""
    return duration(seconds - seconds % 60 if seconds > 60 else seconds)


def _iso(zone: str, instant: int) -> str:
    """Local time with its offset, such as "2026-11-21T19:00:00+01:00"."""
    offset = timezone(timedelta(seconds=offset_at(zone, instant)))
    return datetime.fromtimestamp(instant, offset).isoformat()


def _as_json(stretch: Stretch, zone: str) -> dict[str, object]:
    return {
        "start": format_instant(stretch.start),
        "end": format_instant(stretch.end),
        "local_start": _iso(zone, stretch.start),
        "local_end": _iso(zone, stretch.end),
        "permitted": stretch.permitted,
        "ground": stretch.ground,
        "because": list(stretch.because),
        "reason": stretch.reason,
    }
