"""Caps and gaps that others imply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from policies.facts import CATEGORIES
from policies.lint.remark import Remark, Subject
from policies.local_time import DAY
from policies.terms import Cap, Gap, binds, duration
from policies.wording import cap_words

HOUR = 3600

_Entry = TypeVar("_Entry", Cap, Gap)


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about caps and gaps."""
    policy = subject.policy
    yield from _idle(
        subject, "frequency_cap", policy.caps, "limit", cap_words, "is never reached: {}; lower its limit",
        lambda cap, others: _reached_first(cap, others) or _kept_apart(cap, policy.gaps),
    )  # fmt: skip
    yield from _idle(
        subject, "minimum_gap", policy.gaps, "between", lambda gap: duration(gap.between),
        "never decides: {}; make it longer", lambda gap, others: _longer(gap, others) or _reached(gap, policy.caps),
    )  # fmt: skip


def _idle(
    subject: Subject, rule: str, entries: Sequence[_Entry], key: str, told: Callable[[_Entry], str], words: str,
    implied: Callable[[_Entry, Sequence[_Entry]], str],
) -> Iterator[Remark]:  # fmt: skip
    """A remark for each of the policy's own entries that others imply; of two that imply each other, for one."""
    left = list(entries)
    for each in entries:
        if subject.own(rule, each.id) is None:
            yield from _made_idle(subject, rule, each, entries, key, told, implied)
            continue
        if why := implied(each, [other for other in left if other is not each]):
            left.remove(each)
            said = f"`{each.id}` ({told(each)}) {words.format(why)}, or take it out"
            yield subject.at_entry("never_binds", "warning", rule, each.id, said, key)


def _made_idle(
    subject: Subject, rule: str, inherited: _Entry, entries: Sequence[_Entry], key: str, told: Callable[[_Entry], str],
    implied: Callable[[_Entry, Sequence[_Entry]], str],
) -> Iterator[Remark]:  # fmt: skip
    """A remark on the document's own entry beside which one that is inherited decides nothing any more."""
    others = [each for each in entries if each is not inherited]
    kept = [each for each in others if subject.own(rule, each.id) is None]
    if subject.base is None or implied(inherited, kept) or not implied(inherited, others):
        return
    added = [each for each in others if subject.own(rule, each.id) is not None]
    if not added:  # it is an entry of another kind that implies it
        return
    maker = next((each for each in added if implied(inherited, [each])), added[-1])
    yield subject.at_entry(
        "never_binds", "warning", rule, maker.id,
        f"beside `{maker.id}` ({told(maker)}) the inherited `{inherited.id}` ({told(inherited)}) never decides: give "
        f'this one the id "{inherited.id}" to take its place, or make it looser', key,
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


def _longer(gap: Gap, others: Sequence[Gap]) -> str:
    for each in others:
        if _covers(each.applies_to, gap.applies_to) and each.between >= gap.between:
            return f"`{each.id}` asks for {duration(each.between)}"
    return ""


def _reached(gap: Gap, caps: Sequence[Cap]) -> str:
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
