"""How an answer of the engine is shown: in a sentence, and as JSON. Every command that asks it shows it alike."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from policies.decision import Decision
from policies.facts import facts_to_json
from scheduler.api.instants import format_instant
from scheduler.cli.policy.question import Asked
from scheduler.cli.wording import wait_in_words, words


def sentence(decision: Decision, at: int, *, ends_at: int | None) -> Text:
    """The verdict in one line. ``ends_at``: when the message expires, epoch seconds; None: it does not."""
    why = f", because {words(decision.reason, decision.verdict)}" if decision.reason else ""
    closes = f"; the permitted time ends {format_instant(decision.closes_at)}" if decision.closes_at else ""
    if decision.verdict == "send":
        return Text(f"send: it may go at {format_instant(at)} on the ground {decision.ground}{closes}", style="green")
    if decision.verdict == "deny":
        return Text(f"deny: it may not go{why}", style="red")
    if decision.at is None:
        return Text(f"defer: {wait_in_words(decision.wakes_on, ends_at)}{why}", style="yellow")
    return Text(f"defer: it may go from {format_instant(decision.at)}{why}{closes}", style="yellow")


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


def question_as_json(question: Asked, decision: Decision) -> dict[str, object]:
    """The question and the decision on it, with stable keys."""
    return {
        "policy": question.policy.name,
        "policy_version": question.policy.version,
        "at": format_instant(question.at),
        **decision_as_json(decision),
        "facts": facts_to_json(question.facts),
        "not_told": list(question.not_told),
    }


def decision_as_json(decision: Decision) -> dict[str, object]:
    """A decision with stable keys; ``until`` is when a deferred message may go."""

    def shown(instant: int | None) -> str | None:
        return None if instant is None else format_instant(instant)

    return {
        "verdict": decision.verdict,
        "until": shown(decision.at) if decision.verdict == "defer" else None,
        "ground": decision.ground,
        "closes_at": shown(decision.closes_at),
        "deadline": shown(decision.deadline),
        "because": list(decision.because),
        "reason": decision.reason,
        "wakes_on": decision.wakes_on,
    }
