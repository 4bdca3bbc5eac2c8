"""Dates: what is about to change, what changed since a pack was reviewed, and packs reviewed long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from policies.law import binding_caps, binding_consent, binding_hours, jurisdiction_pack, jurisdictions_with_packs
from policies.lint.remark import Remark, Subject

#: Days after which a review is worth another.
_STALE = 366


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about dates."""
    soon = subject.today + timedelta(days=subject.within)
    old: dict[date, list[str]] = {}
    for name, key, reviewed_on, changes, law in _packs(subject):
        level, hint = (subject.of_law("warning"), subject.hint) if law else ("warning", "")
        for on, what in sorted(set(changes)):
            if subject.today < on <= soon:
                days = (on - subject.today).days
                yield subject.at_key(
                    "takes_effect", "notice", "policy", key,
                    f"{name}: on {on}, in {days} day{'s' if days > 1 else ''}: {what.rstrip('.')}; see before then "
                    f"what it means for you{hint}",
                )  # fmt: skip
            elif reviewed_on < on <= subject.today:
                yield subject.at_key(
                    "took_effect", level, "policy", key,
                    f"{name}: {what.rstrip('.')} took effect on {on}, after the review of the pack ({reviewed_on}): "
                    f"update Duly, or check the source and state the stricter reading in the policy{hint}",
                )  # fmt: skip
        if (subject.today - reviewed_on).days > _STALE:
            old.setdefault(reviewed_on, []).append(name)
    for reviewed_on, names in sorted(old.items()):
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        yield subject.at_key(
            "old_review", "warning", "policy", "packs",
            f"last reviewed on {reviewed_on}, more than a year ago: {shown}; update Duly",
        )  # fmt: skip


def _packs(subject: Subject) -> Iterator[tuple[str, str, date, list[tuple[date, str]], bool]]:
    """The packs in force: name, the key that puts them in force, the day of their review, what changes when, and
    whether it is the law of a place."""
    platform = subject.policy.platform
    changes = [(each.on, each.what) for each in platform.upcoming]
    named = {each.on for each in platform.upcoming}
    grounds = (
        ("marketing_token", platform.marketing), ("recurring", platform.recurring),
        ("one_time_token", platform.one_time),
    )  # fmt: skip
    for ground, terms in grounds:
        starts = [_day(period.since) for period in terms.periods if period.since is not None]
        changes += [(on, f"the ground {ground} changes") for on in starts if on not in named]
    if subject.policy.click_to_messenger and (on := _day(platform.click_to_messenger_since)) not in named:
        changes.append((on, "the longer window after a Click-to-Messenger advertisement opens"))
    yield subject.policy.packs[0], "packs", platform.reviewed_on, changes, False
    mode = subject.policy.jurisdictions
    for code in filter(subject.concerns, sorted(jurisdictions_with_packs())):
        pack = jurisdiction_pack(code)
        assert pack is not None  # it has one
        consent = subject.policy.consent == "packs" and binding_consent(code, mode)
        if binding_hours(code, mode) or binding_caps(code, mode) or consent:
            changes = [(each.on, each.what) for each in pack.upcoming]
            yield f"law/{code}", "jurisdictions", pack.reviewed_on, changes, True


def _day(instant: int) -> date:
    return datetime.fromtimestamp(instant, UTC).date()
