"""The grounds, taken together: outside all of them the platform does not let a message through."""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.grounds import GROUNDS, standard_window
from policies.intervals import NEVER, Intervals, intersect, union, usable
from policies.rules.rule import Rule, finding

NAME = "messaging_window"


def grounded(case: Case) -> Intervals:
    """The times from now on at which some ground holds."""
    found: Intervals = NEVER
    for _, times in _grounds(case):
        found = union((*found, *times)) if found else times
    return found


def ground_at(case: Case, at: int) -> str | None:
    """The preferred ground that holds at this instant and for as long after it as is asked for."""
    fallback = None
    for name, times in _grounds(case):
        for start, end in times:
            if start <= at < end:
                if at + case.remaining < end:
                    return name
                fallback = fallback or name
    return fallback


def _grounds(case: Case) -> tuple[tuple[str, Intervals], ...]:
    # Asked for again and again for one case, and tokens are the dearest of all.
    if case.grounds is None:
        case.grounds = tuple((ground.name, times) for ground in GROUNDS if (times := ground.times(case)))
    return case.grounds


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which some ground holds."""
    return intersect(times, grounded(case))


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return "window_closed"


def _findings(case: Case) -> list[Finding]:
    facts, policy = case.facts, case.policy
    times = grounded(case)
    # The text that decides: of the ground that serves now, else of the one that serves next, else the window's.
    later = usable(times, case.remaining)
    serves = ground_at(case, case.now) or (ground_at(case, later[0][0]) if later else None)
    cited = next((ground for ground in GROUNDS if ground.name == serves), standard_window.GROUND)
    said = (ground.words(case) for ground in GROUNDS)
    return [
        finding(
            case, NAME, times, reason="window_closed", words="; ".join(words for words in said if words),
            clause=f"platform.{cited.name}", binds="platform", citation=cited.citation(case),
            last_inbound=facts.last_inbound, closes_at=standard_window.closes_at(case), window=policy.window,
            margin=policy.margin, template_approved=facts.template_approved, ground=ground_at(case, case.now),
            tokens=[
                {"kind": token.kind, "topic": token.topic, "expires_at": token.expires_at,
                 "last_used_at": token.last_used_at}
                for token in facts.tokens
            ],
        )
    ]  # fmt: skip


RULE = Rule(NAME, narrow, _reason, _findings)
