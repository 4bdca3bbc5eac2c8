"""A person of the team has the thread: automation waits until it is handed back.

Where the policy says for how long at most (``[handover] timeout``) and it is known when the person last wrote, the wait
ends by itself, and handing back ends it sooner. Otherwise it is an open-ended hold.
"""

from __future__ import annotations

from policies.case import Case
from policies.decision import Finding
from policies.intervals import Intervals, clip
from policies.rules.rule import Hold, Rule, finding, standing
from policies.terms import duration

NAME = "handover"

WAKES_ON = "handback"


def hold(case: Case) -> Hold | None:
    """The open-ended hold, while a person has the thread and nothing says until when."""
    return Hold(NAME, WAKES_ON) if case.facts.handover and ends_at(case) is None else None


def bounded(case: Case) -> Hold | None:
    """The hold that ends by itself, while it lasts."""
    end = ends_at(case)
    return Hold(NAME, WAKES_ON) if end is not None and end > case.now else None


def ends_at(case: Case) -> int | None:
    """When automation may speak again by itself, epoch seconds; None where no person has the thread, or for ever."""
    facts, timeout = case.facts, case.policy.handover_timeout
    if not facts.handover or facts.handover_at is None or timeout is None:
        return None
    return facts.handover_at + timeout


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those after the time-out. An open-ended hold narrows nothing: the engine asks for it."""
    end = ends_at(case)
    return times if end is None or not times else clip(times, end, times[-1][1])


def _reason(case: Case) -> str:  # noqa: ARG001 - a rule's reason is asked of the case
    return NAME


def _findings(case: Case) -> list[Finding]:
    if not case.facts.handover:
        return [standing(NAME, reason=None, words="no person has the conversation")]
    end = ends_at(case)
    if end is None:
        words = "a person has the conversation; messages wait until it is handed back"
        return [standing(NAME, reason=NAME, words=words, binds="house", wakes_on=WAKES_ON)]
    words = "a person has the conversation; "
    after = f"{duration(case.policy.handover_timeout or 0)} after they last wrote"
    if end > case.now:
        words += f"messages wait until it is handed back, at the latest until {case.shown(end)}, {after}"
    else:
        words += f"since {case.shown(end)}, {after}, messages may go again"
    return [
        finding(
            case, NAME, narrow(case, case.whole), reason=NAME, words=words, clause="handover.timeout", binds="house",
            handover_at=case.facts.handover_at, timeout=case.policy.handover_timeout, ends_at=end, wakes_on=WAKES_ON,
        )
    ]  # fmt: skip


RULE = Rule(NAME, narrow, _reason, _findings)
