"""The report at the end: figures from the database and the witness, two messages explained, and what failed.

Nothing here counts for itself: states and reasons are what ``/api/v1`` answers, requests and violations what the
sandbox saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scheduler.demo.shop import Shop

_INDENT = (0, 0, 0, 2)
#: States in which a message has left.
SENT = ("sent", "delivered", "read")
#: Zones whose clocks change in the demo's night.
_NORTH_AMERICA = frozenset(
    f"America/{city}" for city in ("New_York", "Chicago", "Denver", "Los_Angeles", "Toronto", "Halifax", "St_Johns")
)


@dataclass(slots=True, kw_only=True)
class Expectation:
    """What a run of this length must show, or it has not shown what it is for."""

    requests: int
    sent_share: float
    denied: tuple[str, ...]
    deferred: tuple[str, ...]
    utility_requests: int
    #: Whether the two explained messages must be found.
    examples: bool = True

    def for_run(self, *, hours: float, people: int) -> Expectation:
        """What a run of this length with so many people must show: a short one has no night for everybody."""
        if hours >= 36 and people >= 500:
            return self
        share = min(1.0, hours / 36) * min(1.0, people / 500)
        return Expectation(
            requests=int(self.requests * share / 2),
            sent_share=self.sent_share / 2,
            denied=("opted_out",),
            deferred=self.deferred[:3],
            utility_requests=int(self.utility_requests * share / 2),
            examples=False,
        )


#: A day and a half over the night in which the clocks change.
FULL = Expectation(
    requests=300,
    sent_share=0.25,
    denied=("opted_out", "blocked"),
    deferred=(
        "quiet_hours",
        "frequency_cap",
        "window_closed",
        "window_closes_in_quiet_hours",
        "window_closes_before_cap",
        "unknown_zone",
    ),
    utility_requests=50,
)


@dataclass(slots=True)
class Report:
    """Everything the end of a run knows."""

    summary: dict[str, Any]
    verdict: dict[str, Any]
    waited: dict[str, Any] | None
    closed: dict[str, Any] | None
    failures: list[str] = field(default_factory=list)


def judge(
    summary: dict[str, Any],
    verdict: dict[str, Any],
    expectation: Expectation,
    *,
    waited: dict[str, Any] | None,
    closed: dict[str, Any] | None,
) -> Report:
    """Hold database, witness and expectation against each other; every disagreement is a failure in words."""
    states, reasons = summary["states"], summary["reasons"]
    planned = sum(states.values())
    sent = sum(states.get(state, 0) for state in SENT)
    failures = [
        f"violation: {one['kind']} by message {one['message']} to {one['psid']} at {one['at']}: {one['detail']}"
        for one in verdict["violations"]
    ]
    if verdict["requests"] < expectation.requests:
        failures.append(f"only {verdict['requests']} requests arrived; this run must show {expectation.requests}")
    if planned and sent / planned < expectation.sent_share:
        failures.append(
            f"only {sent} of {planned} messages were sent; {expectation.sent_share:.0%} were to be expected"
        )
    if verdict["by_kind"].get("UTILITY", 0) < expectation.utility_requests:
        failures.append(f"fewer than {expectation.utility_requests} utility messages were requested")
    failures += [
        f"no message was denied for {reason}"
        for reason in expectation.denied
        if not reasons.get("denied", {}).get(reason)
    ]
    failures += [
        f"no message was deferred for {reason}"
        for reason in expectation.deferred
        if not summary["deferred"].get(reason)
    ]
    # INVARIANT: what we say happened is what the witness saw; only an unconfirmed message may be either.
    unconfirmed = states.get("unconfirmed", 0)
    if not sent <= verdict["accepted"] <= sent + unconfirmed:
        failures.append(f"{sent} messages are recorded as sent, but the witness saw {verdict['accepted']} accepted")
    hanging = {state: states[state] for state in ("due", "sending", "in_doubt") if states.get(state)}
    if hanging:
        failures.append(f"messages hang between states: {hanging}")
    if states.get("dead"):
        failures.append(f"{states['dead']} messages are dead letters")
    if expectation.examples and waited is None:
        failures.append("no message waited out the night across the change of the clocks")
    if expectation.examples and closed is None:
        failures.append("no message waits for the person because its window closes in quiet hours")
    return Report(summary, verdict, waited, closed, failures)


def find_waited(shop: Shop, campaigns: list[int], transition: tuple[int, int]) -> dict[str, Any] | None:
    """A sent campaign message that was deferred before its zone's clocks changed and left after it, if there is one.

    ``transition``: the instants at which the first and the last of North America's zones change, epoch seconds.
    """
    before, after = _instant(transition[0]), _instant(transition[1])
    for campaign in campaigns:
        for state in SENT:
            for row in shop.messages(campaign=campaign, state=state):
                message: dict[str, Any] = shop.call("GET", f"/messages/{row['id']}")
                zones: list[str] = message["contact"].get("timezones") or []
                waits = any(
                    arrow["verdict"] == "defer" and arrow["reason"] == "quiet_hours" and arrow["at"] < before
                    for arrow in message["log"]
                )
                left = any(arrow["to_state"] == "sending" and arrow["at"] > after for arrow in message["log"])
                if waits and left and len(zones) == 1 and zones[0] in _NORTH_AMERICA:
                    return message
    return None


def find_closed(shop: Shop) -> dict[str, Any] | None:
    """A message that waits for the person because its window closes in quiet hours; best one that nothing else held."""
    found: dict[str, Any] | None = None
    for row in shop.messages(state="scheduled", reason="window_closes_in_quiet_hours"):
        found = shop.call("GET", f"/messages/{row['id']}")
        findings = [finding for arrow in (found or {})["log"] for finding in arrow["findings"]]
        if {finding["rule"] for finding in findings if not finding["permits_now"]} == {"quiet_hours"}:
            break
    return found


def _instant(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")


def show(console: Console, report: Report, previews: list[dict[str, Any]]) -> None:
    """Print it for a person: readable on 80 columns, nothing cut off."""
    summary, verdict = report.summary, report.verdict
    if previews:
        _title(console, "What the marketer saw before launching")
        when = ("now", "later", "waiting", "never")
        table = _table("campaign", "page", *when, numbers=when)
        for row in previews:
            table.add_row(row["name"], row["page"], *(str(row[each]) for each in when))
        console.print(Padding(table, _INDENT))
    _title(console, "Where every message is, from the database")
    table = _table("state", "messages", "by reason", numbers=("messages",))
    for state, count in sorted(summary["states"].items(), key=lambda item: -item[1]):
        table.add_row(state, str(count), _counts(summary["reasons"].get(state, {})))
    console.print(Padding(table, _INDENT))
    console.print()
    _line(console, Text(f"held back at least once: {_counts(summary['deferred']) or 'none'}"))
    for title, message in (
        ("A message that waited out the night in which the clocks changed", report.waited),
        ("A message that waits for the person, for its window closes in quiet hours", report.closed),
    ):
        if message:
            _title(console, title)
            _explain(console, message)
    planned = sum(summary["states"].values())
    sent = sum(summary["states"].get(state, 0) for state in SENT)
    violations = len(verdict["violations"])
    _title(console, "The witness's verdict")
    _line(
        console,
        Text(
            f"{verdict['requests']} requests, {violations} violations", style="bold red" if violations else "bold green"
        ),
    )
    _line(console, Text(f"by kind: {_counts(verdict['by_kind']) or 'none'}"))
    _line(console, Text(f"refused by code: {_counts(verdict['refused']) or 'none'}"))
    _line(console, Text(f"races with an opt-out: {verdict['races']}"))
    _line(console, Text(f"sent {sent} of {planned} planned messages ({sent / planned if planned else 0:.0%})"))
    for failure in report.failures:
        _line(console, Text("FAILED ", style="bold red") + Text(failure))
    if not report.failures:
        _line(console, Text("everything this run must show was shown", style="green"))


def _explain(console: Console, message: dict[str, Any]) -> None:
    zones = message["contact"].get("timezones") or []
    where = f", a person in {zones[0]}" if len(zones) == 1 else ""
    _line(console, Text(f"message {message['id']}, template {message['template']}, to {message['psid']}{where}"))
    for row in message["log"]:
        arrow = f"{row['from_state']} → {row['to_state']}" if row["from_state"] else row["to_state"]
        reason = f": {row['reason']}" if row.get("reason") else ""
        until = f", until {row['until']}" if row.get("until") else ""
        _line(console, Text(f"{row['at']}  ", style="dim") + Text(arrow, style="bold") + Text(reason + until))
        for finding in row.get("findings") or ():
            if not finding["permits_now"] or finding["rule"] in (row["because"] or ()):
                _line(console, Text(f"{finding['rule']}: {finding['words']}", style="dim"), indent=6)


def _title(console: Console, words: str) -> None:
    console.print()
    console.print(Text(words, style="bold"))


def _line(console: Console, line: Text, *, indent: int = 2) -> None:
    # Padded, so that what is folded stays under its own beginning.
    console.print(Padding(line, (0, 0, 0, indent)))


def _table(*columns: str, numbers: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return table


def _counts(counts: dict[str, int]) -> str:
    # A reason and its number stay on one line: the space between them does not break.
    return ", ".join(f"{name}\u00a0{count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
