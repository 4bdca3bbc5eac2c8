"""Caps and gaps that others imply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.facts import CATEGORIES
from policies.lint.remark import Remark, Subject
from policies.local_time import DAY
from policies.terms import Cap, Gap, binds, duration
from policies.wording import cap_words

HOUR = 3600


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about caps and gaps."""
    yield from _caps(subject)
    yield from _gaps(subject)


def _caps(subject: Subject) -> Iterator[Remark]:
    left = list(subject.policy.caps)
    for cap in subject.policy.caps:
        if subject.own("frequency_cap", cap.id) is None:
            continue
        why = _reached_first(cap, [each for each in left if each is not cap]) or _kept_apart(cap, subject.policy.gaps)
        if why:
            left.remove(cap)
            yield subject.at_entry(
                "never_binds", "warning", "frequency_cap", cap.id,
                f"`{cap.id}` ({cap_words(cap)}) is never reached: {why}; lower its limit, or take it out", "limit",
            )  # fmt: skip


def _reached_first(cap: Cap, others: Sequence[Cap]) -> str:
    for each in others:
        if _covers(each.applies_to, cap.applies_to) and cap.limit >= _most(each, cap):
            return f"`{each.id}` ({cap_words(each)}) comes first"
    return ""


def _kept_apart(cap: Cap, gaps: Sequence[Gap]) -> str:
    for each in gaps:
        if _covers(each.applies_to, cap.applies_to) and cap.limit >= -(-_longest(cap) // each.between):
            return f"the gap `{each.id}` keeps messages {duration(each.between)} apart"
    return ""


def _gaps(subject: Subject) -> Iterator[Remark]:
    left = list(subject.policy.gaps)
    for gap in subject.policy.gaps:
        if subject.own("minimum_gap", gap.id) is None:
            continue
        why = _longer(gap, [each for each in left if each is not gap]) or _alone_in_its_time(gap, subject.policy.caps)
        if why:
            left.remove(gap)
            yield subject.at_entry(
                "never_binds", "warning", "minimum_gap", gap.id,
                f"`{gap.id}` ({duration(gap.between)}) never decides: {why}; make it longer, or take it out", "between",
            )  # fmt: skip


def _longer(gap: Gap, others: Sequence[Gap]) -> str:
    for each in others:
        if _covers(each.applies_to, gap.applies_to) and each.between >= gap.between:
            return f"`{each.id}` asks for {duration(each.between)}"
    return ""


def _alone_in_its_time(gap: Gap, caps: Sequence[Cap]) -> str:
    for each in caps:
        if each.limit == 1 and each.period >= gap.between and _covers(each.applies_to, gap.applies_to):
            return f"the cap `{each.id}` ({cap_words(each)}) keeps messages further apart"
    return ""


def _covers(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether whatever ``other`` applies to ``one`` applies to as well."""
    return all(binds(one, category) for category in CATEGORIES if binds(other, category))


def _most(cap: Cap, other: Cap) -> int:
    """The most messages that ``cap`` lets into one period of ``other``, whatever the clocks do."""
    if cap.calendar and cap.calendar == other.calendar:
        return cap.limit
    if cap.calendar == "day" and other.calendar == "week":
        return cap.limit * 7
    if not cap.calendar:
        return cap.limit * -(-_longest(other) // cap.period)
    # A rolling period, or a day that straddles two weeks, touches one calendar period more than it holds.
    shortest = (DAY if cap.calendar == "day" else 7 * DAY) - HOUR
    return cap.limit * (-(-_longest(other) // shortest) + 1)


def _longest(cap: Cap) -> int:
    """A period of the cap at its longest: the clocks may go back in it."""
    if not cap.calendar:
        return cap.period
    return (DAY if cap.calendar == "day" else 7 * DAY) + HOUR
