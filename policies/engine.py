"""From facts to a decision: the one evaluator that preview, plan and dispatch share.

    permitted = (ground ∪ ground ∪ …) ∩ hold ∩ hold ∩ … ∩ [not_before, expires_at)

A bar returns the empty set; an open-ended hold gives no times yet and names what ends it. Verdict, next instant,
deadline and blame are all read off that one set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from policies.blame import closed_now, reason_of, reason_of_deny, to_blame
from policies.case import Case, case_of
from policies.decision import Decision
from policies.facts import Facts
from policies.intervals import NEVER, Intervals, usable
from policies.policy import Policy
from policies.quick import decide_plain
from policies.rules import handover, kill_switch, messaging_window, schedule, suppression, unknown_zone
from policies.rules.holds import HOLDS
from policies.rules.rule import Hold
from policies.waiting import awaited

#: The open-ended holds by precedence.
_OPEN_ENDED: tuple[tuple[str, Callable[[Case], Hold | None]], ...] = (
    (kill_switch.NAME, kill_switch.hold),
    (handover.NAME, handover.hold),
    (unknown_zone.NAME, unknown_zone.hold),
)


def decide(policy: Policy, facts: Facts, now: int, *, min_remaining: int = 0) -> Decision:
    """Whether the message may go at ``now`` (epoch seconds UTC), and if not, when.

    It may go where it would stay permitted for ``min_remaining`` more seconds. Never raises: a rule that does is a
    ``deny`` with the reason ``rule_error``.
    """
    try:
        plain = decide_plain(policy, facts, now, min_remaining)
        return plain if plain is not None else judge(case_of(policy, facts, now, min_remaining))
    except Exception:  # whatever a rule raises, nothing may be sent on its account: fail closed
        return Decision(verdict="deny", because=(broken_rule(policy, facts, now, min_remaining),), reason="rule_error")


def permitted(policy: Policy, facts: Facts, now: int) -> Intervals:
    """Every instant from ``now`` to the horizon at which the message may go. Empty under a bar or an open-ended hold.

    The same set that ``decide`` reads; raises what a rule raises.
    """
    case = case_of(policy, facts, now, 0)
    if suppression.barred(facts, now) or schedule.expired(case) or unknown_zone.impossible(case):
        return NEVER
    if any(hold(case) for _, hold in _OPEN_ENDED):
        return NEVER
    return _times(case)


def judge(case: Case) -> Decision:
    """The decision on a case. Raises what a rule raises."""
    facts, now = case.facts, case.now
    barred = suppression.barred(facts, now)
    if barred is not None:
        return Decision(verdict="deny", because=(suppression.NAME,), reason=barred)
    if schedule.expired(case):
        return Decision(verdict="deny", because=(schedule.NAME,), reason="expired")
    if case.binding.uncertain and unknown_zone.impossible(case):
        return _denied(case, (unknown_zone.NAME,), unknown_zone.NAME)
    times = usable(_times(case), case.remaining)
    if not times and handover.bounded(case):
        # It times out too late, but the person may hand the conversation back before.
        times = usable(_times(case, without=handover.NAME), case.remaining)
        if times:
            return _held(case, times)
    if not times:
        because = to_blame(case)
        return _denied(case, because, reason_of_deny(case, because))
    if (
        facts.kill_switch
        or facts.page_stopped
        or facts.campaign_paused
        or facts.held
        or (facts.handover and handover.hold(case))
        or case.binding.held
    ):
        return _held(case, times)
    start, end = times[0]
    ground = messaging_window.ground_at(case, start)
    if start <= now:
        return Decision(verdict="send", at=now, ground=ground, closes_at=end, deadline=times[-1][1])
    because = closed_now(case)
    return Decision(
        verdict="defer", at=start, ground=ground, closes_at=end, deadline=times[-1][1],
        because=because, reason=reason_of(case, because),
        wakes_on=handover.WAKES_ON if handover.NAME in because else None,
    )  # fmt: skip


def open_ended(case: Case) -> dict[str, Hold]:
    """The open-ended holds that stand now, by precedence: rule name to hold."""
    return {name: found for name, hold in _OPEN_ENDED if (found := hold(case)) is not None}


def broken_rule(policy: Policy, facts: Facts, now: int, min_remaining: int) -> str:
    """The name of the rule that raises on this case, for the record."""
    try:
        case = case_of(policy, facts, now, min_remaining)
    except Exception:  # where the contact is could not be made out
        return unknown_zone.NAME
    asked: tuple[tuple[str, Callable[[], object]], ...] = (
        (suppression.NAME, lambda: suppression.findings(case)),
        (kill_switch.NAME, lambda: kill_switch.findings(case)),
        (messaging_window.NAME, lambda: messaging_window.grounded(case)),
        *((hold.name, partial(hold.narrow, case, case.whole)) for hold in HOLDS),
        *((hold.name, partial(hold.findings, case)) for hold in (messaging_window.RULE, *HOLDS)),
    )
    for name, ask in asked:
        try:
            ask()
        except Exception:  # this is the one
            return name
    return unknown_zone.NAME


def _times(case: Case, *, without: str = "") -> Intervals:
    times = messaging_window.grounded(case)
    for hold in HOLDS:
        if not times:
            break
        if hold.name != without:
            times = hold.narrow(case, times)
    return times


def _denied(case: Case, because: tuple[str, ...], reason: str) -> Decision:
    """A denial; or, where the message may wait and the person can lift it, a wait with the same blame."""
    wakes_on = awaited(case, because)
    return Decision(verdict="deny" if wakes_on is None else "defer", because=because, reason=reason, wakes_on=wakes_on)


def _held(case: Case, times: Intervals) -> Decision:
    # Something would be left without the hold, so the message waits; nobody knows until when.
    holds = open_ended(case)
    because = closed_now(case, also=tuple(holds))
    if handover.NAME in because and (awaited := handover.bounded(case)):
        holds.setdefault(handover.NAME, awaited)
    first = because[0]
    return Decision(
        verdict="defer",
        deadline=times[-1][1],
        because=because,
        reason=holds[first].reason if first in holds else reason_of(case, because),
        wakes_on=next(holds[name].wakes_on for name in because if name in holds),
    )
