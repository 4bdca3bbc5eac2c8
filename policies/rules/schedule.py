"""The message's own times: not before, and not from its expiry on."""

from __future__ import annotations

from policies import confirmation
from policies.case import Case
from policies.decision import Finding
from policies.intervals import Intervals, clip
from policies.rules.rule import Rule, finding
from policies.terms import duration

NAME = "schedule"


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which the message is due and not expired."""
    not_before, expires_at = case.facts.not_before, case.expires_at
    if not times or (not_before is None and expires_at is None):
        return times
    start = times[0][0] if not_before is None else not_before
    end = times[-1][1] if expires_at is None else expires_at
    return clip(times, start, end)


def expired(case: Case) -> bool:
    """Whether the message's time has run out: a bar."""
    expires_at = case.expires_at
    return expires_at is not None and expires_at <= case.now


def _reason(case: Case) -> str:
    waits = case.facts.not_before is not None and case.now < case.facts.not_before
    return "not_before" if waits and not expired(case) else "expired"


def _findings(case: Case) -> list[Finding]:
    facts, expires_at = case.facts, case.expires_at
    parts = []
    if facts.not_before is not None:
        parts.append(f"not before {case.shown(facts.not_before)}")
    if expires_at is not None:
        parts.append(f"{'expired' if expired(case) else 'expires'} at {case.shown(expires_at)}")
        if expires_at != facts.expires_at:
            parts.append(f"because an opt-out is confirmed within {duration(confirmation.WITHIN)} or not at all")
    return [
        finding(
            case, NAME, narrow(case, case.whole), reason=_reason(case), words=", ".join(parts) or "any time",
            binds="message" if parts else None,
            not_before=facts.not_before, expires_at=expires_at,
        )
    ]  # fmt: skip


RULE = Rule(NAME, narrow, _reason, _findings)
