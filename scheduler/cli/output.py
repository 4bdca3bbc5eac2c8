"""How commands of the CLI show what they read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

#: Reason codes that need more than their underscores taken out.
_WORDS = {
    "window_closed": "more than 24 hours have passed since the person's last message",
    "window_closes_in_quiet_hours": "the 24 hours end before the quiet hours do",
    "window_closes_before_cap": "the 24 hours end before another message is allowed",
    "opted_out": "the person asked for no messages",
    "blocked": "the person blocked the page",
    "quiet_hours": "it is night, or a quiet time, where the person is",
    "frequency_cap": "the person has had enough messages for now",
    "handover": "a person of the team has the conversation",
    "rule_error": "no rule could be applied, so nothing is sent",
    "test_mode": "the page is in mode test and the person is not on its allow-list",
    "woken": "something happened that may permit more",
}


def echo_json(value: Any) -> None:
    """Print JSON for a program."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def words(reason: str) -> str:
    """A reason code in words."""
    return _WORDS.get(reason, reason.replace("_", " "))


def print_findings(console: Console, findings: Sequence[Any], *, indent: str = "") -> None:
    """What each rule said, one line a rule; ``findings`` have rule, permits_now, words and citation."""
    for finding in findings:
        mark = Text("permits ", style="green") if finding.permits_now else Text("forbids ", style="red")
        line = Text(indent) + mark + Text(f"{finding.rule}: ", style="bold") + Text(finding.words)
        if finding.citation and not finding.permits_now:
            line += Text(f" [{finding.citation}]", style="dim")
        console.print(line, soft_wrap=True)
