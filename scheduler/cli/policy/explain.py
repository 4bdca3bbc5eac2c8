"""``duly policy explain``: ask the engine about somebody, told here or stored."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.console import Console
from rich.text import Text

from policies.decision import Decision, Finding
from policies.explain import explain as explain_decision
from policies.facts import facts_to_json
from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, words
from scheduler.cli.policy.told import Asked, Told, asked, tells


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
                **decision_as_json(question, decision),
                "findings": [
                    {**asdict(finding), "next_at": format_instant(finding.next_at) if finding.next_at else None}
                    for finding in findings
                ],
            }
        )
        return
    console = Console(highlight=False)
    console.print(sentence(decision, question.at), soft_wrap=True)
    for finding in findings:
        console.print(_said(finding), soft_wrap=True)
    print_not_told(console, question)
    print_version(console, question)


def sentence(decision: Decision, at: int) -> Text:
    """The verdict in one line."""
    why = f", because {words(decision.reason)}" if decision.reason else ""
    closes = f"; the permitted time ends {format_instant(decision.closes_at)}" if decision.closes_at else ""
    if decision.verdict == "send":
        return Text(f"send: it may go at {format_instant(at)} on the ground {decision.ground}{closes}", style="green")
    if decision.verdict == "deny":
        return Text(f"deny: it may never go{why}", style="red")
    if decision.at is None:
        return Text(f"defer: it waits for {words(decision.wakes_on or 'somebody')}{why}", style="yellow")
    return Text(f"defer: it may go from {format_instant(decision.at)}{why}{closes}", style="yellow")


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


def print_not_told(console: Console, question: Asked) -> None:
    """What counted as unknown because nobody told it."""
    if question.not_told:
        console.print(
            Text(f"not told: {'; '.join(question.not_told)}. What is not told counts as unknown.", style="yellow"),
            soft_wrap=True,
        )


def print_version(console: Console, question: Asked) -> None:
    """The policy that was asked."""
    console.print(Text(f"policy {question.policy.name}, version {question.policy.version[:12]}", style="dim"))


def decision_as_json(question: Asked, decision: Decision) -> dict[str, object]:
    """The question and the decision, with stable keys."""

    def shown(instant: int | None) -> str | None:
        return None if instant is None else format_instant(instant)

    return {
        "policy": question.policy.name,
        "policy_version": question.policy.version,
        "at": format_instant(question.at),
        "verdict": decision.verdict,
        "until": shown(decision.at) if decision.verdict == "defer" else None,
        "ground": decision.ground,
        "closes_at": shown(decision.closes_at),
        "deadline": shown(decision.deadline),
        "because": list(decision.because),
        "reason": decision.reason,
        "wakes_on": decision.wakes_on,
        "facts": facts_to_json(question.facts),
        "not_told": list(question.not_told),
    }
