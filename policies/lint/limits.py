"""Limits that are missing, that are over before they matter, or that hold back what people wait for."""

from __future__ import annotations

from collections.abc import Iterator

from policies.lint.remark import Remark, Subject
from policies.terms import Hours, binds, duration
from policies.wording import cap_words, row_words

_MINUTE, _HOUR = 60, 3600
#: Less than this is hardly meant: a pause in which nobody has read the last message, a period that ends as it begins,
#: a person of the team who is interrupted while they write, a day that is over before a campaign has begun.
_GAP, _PERIOD, _TIMEOUT, _OPEN = _MINUTE, _HOUR, 15 * _MINUTE, 15 * _MINUTE


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about limits."""
    yield from _missing(subject)
    yield from _short(subject)
    yield from _orders(subject)


def _missing(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    hours = any(binds(each.applies_to, "promotional") and _ever_closed(each) for each in policy.hours)
    caps = any(binds(each.applies_to, "promotional") for each in policy.caps)
    # A pause of hours between messages limits them as a cap does.
    caps = caps or any(binds(each.applies_to, "promotional") and each.between >= _HOUR for each in policy.gaps)
    law = "" if policy.jurisdictions == "off" else " where no law of the person's place says otherwise"
    often = "as often as campaigns are launched"
    if not hours and not caps:
        yield subject.at_key(
            "unlimited", "warning", "policy", "name",
            f"promotions may go at any hour of the night and {often}{law}: give it [[permitted_hours]] and a "
            '[[frequency_cap]], or say extends = "default"',
        )  # fmt: skip
    elif not hours:
        yield subject.at_key(
            "no_hours", "notice", "policy", "name",
            f"promotions may go at any hour of the night{law}: give it [[permitted_hours]] for them",
        )  # fmt: skip
    elif not caps:
        yield subject.at_key(
            "no_cap", "notice", "policy", "name",
            f"promotions may go {often}{law}: give it a [[frequency_cap]] for them",
        )  # fmt: skip


def _ever_closed(hours: Hours) -> bool:
    return any(row is not None for row in (*hours.rows, hours.holiday, hours.before_holiday))


def _short(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    timeout, table = policy.handover_timeout, subject.document.table("handover")
    if table is not None and table.has("timeout") and timeout is not None and timeout < _TIMEOUT:
        yield subject.at_key(
            "short", "warning", "handover", "timeout",
            f"after {duration(timeout)} automation speaks again while the person of the team may still be writing: an "
            "hour is short, days are usual",
        )  # fmt: skip
    for gap in policy.gaps:
        if gap.between < _GAP and subject.own("minimum_gap", gap.id):
            yield subject.at_entry(
                "short", "warning", "minimum_gap", gap.id,
                f"`{gap.id}` is over after {duration(gap.between)}, before anybody has read the last message: minutes "
                "or hours are usual", "between",
            )  # fmt: skip
    for cap in policy.caps:
        if cap.period and cap.period < _PERIOD and subject.own("frequency_cap", cap.id):
            yield subject.at_entry(
                "short", "warning", "frequency_cap", cap.id,
                f"`{cap.id}` ({cap_words(cap)}) begins anew every {duration(cap.period)}, so it lets nearly anything "
                "go: days are usual", "per",
            )  # fmt: skip
    for hours in policy.hours:
        longest = max((end - start for row in hours.rows if row for start, end in row), default=0)
        if 0 < longest < _OPEN and None not in hours.rows and subject.own("permitted_hours", hours.id):
            yield subject.at_entry(
                "short", "warning", "permitted_hours", hours.id,
                f"`{hours.id}` opens for {duration(longest)} at most, which a campaign to many people outlasts: widen "
                "it",
            )  # fmt: skip


def _orders(subject: Subject) -> Iterator[Remark]:
    """Caps, gaps and hours that bind what people wait for: news of their order, answers to what they asked."""
    policy = subject.policy
    for cap in policy.caps:
        if (what := _awaited(cap.applies_to)) and subject.own("frequency_cap", cap.id):
            yield subject.at_entry(
                "holds_orders", _weight(cap.applies_to), "frequency_cap", cap.id,
                f"`{cap.id}` ({cap_words(cap)}) holds {what} messages back once it is full, such as news of an order: "
                'say applies_to = ["promotional"]', "applies_to",
            )  # fmt: skip
    for gap in policy.gaps:
        if (what := _awaited(gap.applies_to)) and subject.own("minimum_gap", gap.id):
            yield subject.at_entry(
                "holds_orders", _weight(gap.applies_to) if gap.between >= _HOUR else "notice", "minimum_gap", gap.id,
                f"`{gap.id}` holds {what} messages back for {duration(gap.between)} after others, such as news of an "
                'order: say applies_to = ["promotional"]', "applies_to",
            )  # fmt: skip
    for hours in policy.hours:
        what = _awaited(hours.applies_to)
        if what and _ever_closed(hours) and subject.own("permitted_hours", hours.id):
            shown = "; ".join(dict.fromkeys(row_words(row) for row in hours.rows))
            yield subject.at_entry(
                "holds_orders", "notice", "permitted_hours", hours.id,
                f"`{hours.id}` ({shown}) holds {what} messages back too, such as news of an order, and answers in the "
                'window: say applies_to = ["promotional"], unless they shall wait', "applies_to",
            )  # fmt: skip


def _weight(applies_to: tuple[str, ...]) -> str:
    # Where promotions count as well, it is they that use up what orders have. Orders alone are limited on purpose.
    return "warning" if binds(applies_to, "promotional") else "notice"


def _awaited(applies_to: tuple[str, ...]) -> str:
    return " and ".join(each for each in ("utility", "service") if binds(applies_to, each))
