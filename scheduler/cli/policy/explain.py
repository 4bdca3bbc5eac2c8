"""``duly policy explain``: ask the engine about somebody, told here or stored."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from policies.decision import Finding
from policies.explain import explain as explain_decision
from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json
from scheduler.cli.policy.answer import print_not_told, print_version, question_as_json, sentence
from scheduler.cli.policy.question import asked
from scheduler.cli.policy.told import Told, tells
from scheduler.terminal import Terminal


@tells
def command(
    told: Told,
    guard: bool = typer.Option(False, "--guard", help="Ask for the send guard, as plan and dispatch do."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Say whether a message may go to somebody, when, and what every rule says about it.

    Told by options, nothing needs to run. --contact and --message read the database; options then add to it.
    """
    question = asked(told)
    decision, findings = explain_decision(
        question.policy, question.facts, question.at, min_remaining=clock.guard_seconds() if guard else 0
    )
    if as_json:
        echo_json(
            {
                **question_as_json(question, decision),
                "findings": [
                    {**asdict(finding), "next_at": format_instant(finding.next_at) if finding.next_at else None}
                    for finding in findings
                ],
            }
        )
        return
    console = Terminal(highlight=False)
    console.print(sentence(decision, question.at, ends_at=question.facts.expires_at), soft_wrap=True)
    for finding in findings:
        console.print(_said(finding), soft_wrap=True)
    print_not_told(console, question)
    print_version(console, question)


def _said(finding: Finding) -> Text:
    """One finding: what it says, by which text and by what that binds, and where it comes from."""
    mark = Text("permits ", style="green") if finding.permits_now else Text("forbids ", style="red")
    line = Text("  ") + mark + Text(f"{finding.rule}: ", style="bold") + Text(finding.words)
    text = [finding.clause] if finding.clause != finding.rule else []
    if finding.binds and not finding.clause.startswith(f"{finding.binds}."):
        text.append(finding.binds)
    if text:
        line += Text(f" <{', '.join(text)}>", style="cyan")
    return line + Text(f" [{finding.citation}]" if finding.citation else "", style="dim")
