"""What a person sees while the demo runs: a live table on a terminal, plain lines elsewhere."""

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
        self._said: list[str] = []

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, instant: float, words: str) -> None:
        """Something happened in the story."""
        line = f"{_clock(instant)}  {words}"
        self._said = [*self._said, line][-6:]
        if self._plain:
            self._console.print(line, soft_wrap=True)

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
        states = Table("state", "messages", "why", title=None, expand=True, box=None)
        for name, style in _STATES.items():
            count = summary["states"].get(name, 0)
            if count:
                why = summary["reasons"].get(name, {})
                words = ", ".join(f"{reason} {n}" for reason, n in sorted(why.items(), key=lambda item: -item[1])[:5])
                states.add_row(Text(name, style=style), str(count), words)
        held = ", ".join(
            f"{reason} {n}" for reason, n in sorted(summary["deferred"].items(), key=lambda item: -item[1])
        )
        head = Text(
            f"{_clock(instant)}   virtual    {people['events_delivered']}/{people['events_total']} events in    "
            f"{summary['sent_per_second']:.1f} messages/s out",
            style="bold",
        )
        done = min(self._length, max(0, instant - start))
        return Group(
            Panel(
                Group(
                    head,
                    ProgressBar(total=self._length, completed=done),
                    states,
                    Text(f"ever held back: {held or 'none yet'}", style="dim"),
                ),
                title="duly demo",
            ),
            *(Text(line, style="dim") for line in self._said),
        )


def _clock(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%a %d %b %H:%M UTC")
