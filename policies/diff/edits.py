"""The clauses in which two policies differ, each put alone into the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from policies.law import binding_caps, binding_consent, binding_hours, jurisdictions_with_packs
from policies.policy import Policy
from policies.terms import Cap, Gap, Hours, duration
from policies.wording import entry_words

_Entry = TypeVar("_Entry", Hours, Cap, Gap)

#: Fields of a policy that decide nothing by themselves, or that one of the clauses below stands for.
_ELSEWHERE = {
    "name", "document", "known_as", "bindings", "plains", "hours", "caps", "gaps", "margin", "window", "jurisdictions",
    "unknown_zone", "consent", "handover_timeout", "click_to_messenger",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One clause that differs."""

    clause: str
    #: In words; None where it is not there.
    before: str | None
    after: str | None
    #: The old policy with this clause of the new one, and nothing else of it.
    policy: Policy


def edits(old: Policy, new: Policy) -> tuple[Edit, ...]:
    """Every clause that differs, in the order of the document."""
    found = []

    def add(clause: str, before: str | None, after: str | None, **changed: object) -> None:
        policy = replace(old, bindings={}, **changed)  # type: ignore[arg-type]  # the values are a policy's own
        found.append(Edit(clause=clause, before=before, after=after, policy=policy))

    if old.jurisdictions != new.jurisdictions:
        rows = _rows_words(old.jurisdictions, new.jurisdictions, consent=old.consent == "packs")
        add("policy.jurisdictions", old.jurisdictions, new.jurisdictions + rows, jurisdictions=new.jurisdictions)
    if old.margin != new.margin:
        window = old.window + old.margin - new.margin
        add("messaging_window.margin", duration(old.margin), duration(new.margin), margin=new.margin, window=window)
    if old.click_to_messenger != new.click_to_messenger:
        before, after = (str(each.click_to_messenger).lower() for each in (old, new))
        add("messaging_window.click_to_messenger", before, after, click_to_messenger=new.click_to_messenger)
    for id_, hours in _differing(old.hours, new.hours):
        add(f"permitted_hours.{id_}", *map(entry_words, hours), hours=_put(old.hours, id_, hours[1]))
    for id_, cap in _differing(old.caps, new.caps):
        add(f"frequency_cap.{id_}", *map(entry_words, cap), caps=_put(old.caps, id_, cap[1]))
    for id_, gap in _differing(old.gaps, new.gaps):
        add(f"minimum_gap.{id_}", *map(entry_words, gap), gaps=_put(old.gaps, id_, gap[1]))
    if old.unknown_zone != new.unknown_zone:
        before, after = (f"{each.unknown_zone.mode} {each.unknown_zone.zone}".strip() for each in (old, new))
        add("unknown_zone", before, after, unknown_zone=new.unknown_zone)
    if old.consent != new.consent:
        add("consent.require", old.consent, new.consent, consent=new.consent)
    if old.handover_timeout != new.handover_timeout:
        before, after = (
            "never" if each.handover_timeout is None else duration(each.handover_timeout) for each in (old, new)
        )
        add("handover.timeout", before, after, handover_timeout=new.handover_timeout)
    for each in fields(Policy):
        if each.name not in _ELSEWHERE and (value := getattr(new, each.name)) != getattr(old, each.name):
            add(f"policy.{each.name}", str(getattr(old, each.name)), str(value), **{each.name: value})
    return tuple(found)


def rows_that_differ(one: str, other: str, *, consent: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rows of packs ("US.us-tcpa-hours") that bind in mode ``other`` alone, and those in ``one`` alone.

    What they ask as ``consent`` binds only where the policy asks them for it.
    """
    before, after = (
        {f"{code}.{row}" for code in jurisdictions_with_packs() for row in _rows(code, mode, consent=consent)}
        for mode in (one, other)
    )
    return tuple(sorted(after - before)), tuple(sorted(before - after))


def _rows(code: str, mode: str, *, consent: bool) -> list[str]:
    found = [each.id for each in binding_hours(code, mode)] + [each.id for each in binding_caps(code, mode)]
    return [*found, "consent"] if consent and binding_consent(code, mode) else found


def _rows_words(one: str, other: str, *, consent: bool) -> str:
    starts, stops = rows_that_differ(one, other, consent=consent)
    parts = [f"{len(starts)} rows start to bind ({_few(starts)})"] if starts else []
    parts += [f"{len(stops)} rows no longer bind ({_few(stops)})"] if stops else []
    return f": {'; '.join(parts)}" if parts else ""


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _differing(one: Sequence[_Entry], other: Sequence[_Entry]) -> list[tuple[str, tuple[_Entry | None, _Entry | None]]]:
    old: dict[str, _Entry] = {entry.id: entry for entry in one}
    new: dict[str, _Entry] = {entry.id: entry for entry in other}
    return [(id_, (old.get(id_), new.get(id_))) for id_ in sorted({*old, *new}) if old.get(id_) != new.get(id_)]


def _put(entries: Sequence[_Entry], id_: str, entry: _Entry | None) -> tuple[_Entry, ...]:
    found: list[_Entry] = [each for each in entries if each.id != id_]
    if entry is not None:
        found.append(entry)
    return tuple(sorted(found, key=lambda each: each.id))
