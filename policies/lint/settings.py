"""Settings that do nothing, or more than was likely meant: margin, zone, consent, hand-over, what is said twice."""

from __future__ import annotations

from collections.abc import Iterator

from policies.case import HORIZON
from policies.law import binding_caps, binding_hours, jurisdictions_with_packs
from policies.lint.remark import Remark, Subject
from policies.places import country_of_zone
from policies.terms import duration

#: A window with less than this left of it is hardly meant.
_LEFT = 3600


def check(subject: Subject) -> Iterator[Remark]:
    """Every remark about the settings outside the lists."""
    yield from _margin(subject)
    yield from _zone(subject)
    yield from _consent(subject)
    yield from _handover(subject)
    yield from _restated(subject)


def _margin(subject: Subject) -> Iterator[Remark]:
    policy, table = subject.policy, subject.document.table("messaging_window")
    if table is None or not table.has("margin"):
        return
    if policy.window < _LEFT:
        yield subject.at_key(
            "margin", "warning", "messaging_window", "margin",
            f"a margin of {duration(policy.margin)} leaves {duration(policy.window)} of the messaging window: 5m is "
            "enough for clocks and queues",
        )  # fmt: skip
    if policy.margin == 0 and (subject.base is None or subject.base.margin == 0):
        yield subject.at_key(
            "never_binds", "notice", "messaging_window", "margin",
            "a margin of 0 is what holds without it; 5m would keep messages clear of the window's last second",
        )  # fmt: skip


def _zone(subject: Subject) -> Iterator[Remark]:
    policy, table = subject.policy, subject.document.table("unknown_zone")
    if table is None:
        return
    mode, name = policy.unknown_zone.mode, policy.unknown_zone.zone
    if mode != "all_candidates" and not _zone_matters(subject):
        yield subject.at_key(
            "never_binds", "warning", "unknown_zone", "mode",
            f"`{mode}` has no effect: no hours and no calendar cap ask for a local time; give hours, or take it out",
        )  # fmt: skip
    elif mode == "fallback" and name.startswith("Etc/GMT") and name not in ("Etc/GMT", "Etc/GMT0"):
        yield subject.at_key(
            "odd_zone", "warning", "unknown_zone", "zone",
            f"`{name}` is {'west' if '+' in name else 'east'} of Greenwich: the signs of Etc zones are the other way "
            "round; name a city's zone",
        )  # fmt: skip
    elif mode == "fallback" and country_of_zone(name) is None:
        yield subject.at_key(
            "odd_zone", "notice", "unknown_zone", "zone",
            f"`{name}` is not any country's zone, so nobody lives by it: name a city's, such as Europe/Berlin",
        )  # fmt: skip


def _zone_matters(subject: Subject) -> bool:
    policy = subject.policy
    if policy.hours or any(cap.calendar for cap in policy.caps):
        return True
    mode = policy.jurisdictions
    return any(
        binding_hours(code, mode) or any(cap.calendar for cap in binding_caps(code, mode))
        for code in jurisdictions_with_packs()
        if subject.concerns(code)
    )


def _consent(subject: Subject) -> Iterator[Remark]:
    if subject.policy.consent == "packs" and subject.policy.jurisdictions == "off":
        yield subject.at_key(
            "never_binds", "warning", "consent", "require",
            'nothing asks for consent: `require = "packs"` reads the packs of jurisdictions, and they are "off"; say '
            'jurisdictions = "courtesy" or "legal"',
        )  # fmt: skip


def _handover(subject: Subject) -> Iterator[Remark]:
    timeout = subject.policy.handover_timeout
    if timeout is not None and timeout >= HORIZON:
        yield subject.at_key(
            "never_binds", "notice", "handover", "timeout",
            f"a time-out of {duration(timeout)} is beyond what any decision looks at: messages wait for the hand-back "
            'as if it were "never"',
        )  # fmt: skip


def _restated(subject: Subject) -> Iterator[Remark]:
    """Entries that say what the base says already: they hide its later changes."""
    base = subject.base
    if base is None:
        return
    for section, own, inherited in (
        ("permitted_hours", subject.policy.hours, base.hours),
        ("frequency_cap", subject.policy.caps, base.caps),
        ("minimum_gap", subject.policy.gaps, base.gaps),
    ):
        for entry in own:
            if entry in inherited and subject.own(section, entry.id) is not None:
                yield subject.at_entry(
                    "restated", "notice", section, entry.id,
                    f"`{entry.id}` says what `{base.name}` says already: take it out, unless it shall stay when "
                    "that changes",
                )  # fmt: skip
