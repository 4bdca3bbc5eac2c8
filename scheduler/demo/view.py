"""What a person sees while the demo runs: a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

#: Order and colour of the states a message can be in; the word always stands beside the colour.
_STATES = {
    "scheduled": "yellow",
    "due": "cyan",
    "sending": "cyan",
    "in_doubt": "magenta",
    "sent": "green",
    "delivered": "green",
    "read": "bold green",
    "refused": "red",
    "denied": "red",
    "expired": "red",
    "cancelled": "dim",
    "unconfirmed": "magenta",
    "dead": "bold red",
}
#: These always have their line, so that the picture does not jump; the others only while a message is in them.
_ALWAYS = ("scheduled", "sent", "delivered", "read", "denied")
#: Reasons shown for a state: what fits on two lines of 80 columns.
_MOST_REASONS = 3
#: Lines of the story that stay in sight.
_STORY = 8
#: Columns of the longest bar.
_BAR = 16
#: Real seconds between two plain lines.
_PLAIN_EVERY = 5.0


class View:
    """Shows progress on a terminal, or a line now and then without one."""

    def __init__(self, console: Console, *, length: int, plain: bool) -> None:
        """``length`` is the run's, in virtual seconds."""
        self._console = console
        self._length = length
        self._plain = plain or not console.is_terminal
        self._live = None if self._plain else Live(console=console, refresh_per_second=4, transient=True)
        self._last_line = -_PLAIN_EVERY
        self._said: list[Text] = []

    def __enter__(self) -> Self:
        ready = "Everything runs; the story begins in a moment …"
        if self._live:
            self._live.start()
            self._live.update(Panel(Text(ready), title="duly demo", title_align="left"))
        else:
            self._console.print(ready, soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, instant: float, words: str) -> None:
        """Something happened in the story."""
        self._said = [*self._said, Text(f"{_clock(instant)}  ", style="dim") + Text(words)][-_STORY:]
        if self._plain:
            self._console.print(f"{_clock(instant)}  {words}", soft_wrap=True)

    def show(
        self, elapsed_real: float, instant: float, start: float, summary: dict[str, Any], people: dict[str, Any]
    ) -> None:
        """The present picture."""
        if self._live:
            self._live.update(self._picture(instant, start, summary, people))
        elif elapsed_real - self._last_line >= _PLAIN_EVERY:
            self._last_line = elapsed_real
            states = summary["states"]
            counts = " ".join(f"{name}={states[name]}" for name in _STATES if states.get(name))
            self._console.print(
                f"{_clock(instant)}  {people['events_delivered']}/{people['events_total']} events in, "
                f"{summary['sent_per_second']:.1f}/s out; {counts or 'no messages yet'}",
                soft_wrap=True,
            )

    def _picture(self, instant: float, start: float, summary: dict[str, Any], people: dict[str, Any]) -> Group:
        done = min(self._length, max(0.0, instant - start))
        head = Table.grid(expand=True)
        head.add_column(no_wrap=True)
        head.add_column(justify="right", no_wrap=True)
        head.add_row(Text(_clock(instant), style="bold"), f"{done / 3600:.0f} of {self._length / 3600:g} virtual hours")
        flow = Table.grid(expand=True)
        flow.add_column(no_wrap=True)
        flow.add_column(justify="right", no_wrap=True)
        flow.add_row(
            f"from people: {people['events_delivered']} of {people['events_total']} events",
            f"to people: {summary['sent_per_second']:.1f} messages a second",
        )
        # In a table, because a bar by itself ends without a new line.
        bar = Table.grid(expand=True)
        bar.add_row(ProgressBar(total=self._length, completed=done))
        held = _counts(summary["deferred"]) or "none yet"
        panel = Panel(
            Group(
                head,
                bar,
                flow,
                Text(),
                _states(summary),
                Text(),
                Text(f"held back at least once: {held}", style="dim"),
            ),
            title="duly demo",
            title_align="left",
            subtitle="Ctrl-C stops everything",
            subtitle_align="left",
        )
        return Group(panel, *self._said)


def _states(summary: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    table.add_column("state", width=11)
    table.add_column("messages", width=8, justify="right")
    table.add_column("", width=_BAR, no_wrap=True)
    table.add_column("why", ratio=1, overflow="fold")
    most = max(summary["states"].values(), default=0)
    for name, style in _STATES.items():
        count = summary["states"].get(name, 0)
        if count or name in _ALWAYS:
            bar = "▇" * -(-_BAR * count // most) if most else ""
            why = _counts(summary["reasons"].get(name, {}), most=_MOST_REASONS)
            table.add_row(Text(name, style=style), str(count), Text(bar, style=style), why)
    return table


def _counts(counts: dict[str, int], *, most: int | None = None) -> str:
    # A reason and its number stay on one line: the space between them does not break.
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    words = ", ".join(f"{name}\u00a0{count}" for name, count in ordered[:most])
    return f"{words}, …" if most is not None and len(ordered) > most else words


def _clock(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%a %d %b %H:%M UTC")
