"""Which rules are to blame, and the one reason code that speaks for them."""

from __future__ import annotations

from policies.case import Case
from policies.decision import PRECEDENCE
from policies.intervals import Intervals, clip, usable
from policies.rules import frequency_cap, handover, messaging_window, quiet_hours, schedule
from policies.rules.holds import HOLDS
from policies.rules.rule import Rule

_ORDER = {name: place for place, name in enumerate(PRECEDENCE)}
_RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in sorted((messaging_window.RULE, *HOLDS), key=lambda rule: _ORDER[rule.name])
}  # fmt: skip
#: Those that a denial may blame. A handover only ever defers: the conversation may be handed back before it times out,
#: so a denial is blamed as if nobody had the conversation.
_DENYING = tuple(name for name in _RULES if name != handover.NAME)


def closed_now(case: Case, *, also: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The rules that do not permit now, and ``also``, by precedence: who is to blame for a ``defer``."""
    instant: Intervals = ((case.now, case.now + case.remaining + 1),)
    closed = [name for name, rule in _RULES.items() if rule.narrow(case, instant) != instant]
    return tuple(sorted((*closed, *also), key=_ORDER.__getitem__))


def to_blame(case: Case) -> tuple[str, ...]:
    """The rules to blame for a ``deny`` that no bar explains, by precedence.

    Every rule whose relaxation alone would leave something; else every rule that by itself leaves nothing; else every
    rule that restricts at all. To relax a rule is to let it always permit; ``schedule`` relaxed reaches to 30 days.
    """
    grounded = messaging_window.grounded(case)
    relaxed = tuple(
        name
        for name in _DENYING
        if _left_without(case, name, case.whole if name == messaging_window.NAME else grounded)
    )
    if relaxed:
        return relaxed
    # Only the schedule is to blame for an expiry that comes sooner than a message is asked to stay permitted.
    span: Intervals = ((case.now, max(case.horizon, case.now + case.remaining + 1)),)
    alone = tuple(name for name in _DENYING if not usable(_RULES[name].narrow(case, span), case.remaining))
    return alone or tuple(name for name in _DENYING if _restricts(case, name))


def _restricts(case: Case, name: str) -> bool:
    # An expiry restricts although nothing after it is looked at.
    span: Intervals = case.whole if name == schedule.NAME else ((case.now, case.horizon),)
    return _RULES[name].narrow(case, span) != span


def reason_of(case: Case, because: tuple[str, ...]) -> str:
    """The code of the first of the blamed rules."""
    return _RULES[because[0]].reason(case)


def reason_of_deny(case: Case, because: tuple[str, ...]) -> str:
    """The same, save where the messaging window closes before something else opens."""
    # A ground that comes only after the message has expired is none.
    within = clip(messaging_window.grounded(case), case.now, case.horizon)
    if because[0] == messaging_window.NAME and (grounded := usable(within, case.remaining)):
        # The window is still open: it is the other rule's times that come too late. Where two such rules stand in the
        # way, neither's relaxation alone helps, and none is blamed beside the window; the code still tells the truth.
        if _comes_too_late(case, because, quiet_hours.RULE, grounded):
            return "window_closes_in_quiet_hours"
        if _comes_too_late(case, because, frequency_cap.RULE, grounded):
            return "window_closes_before_cap"
    return reason_of(case, because)


def _comes_too_late(case: Case, because: tuple[str, ...], rule: Rule, grounded: Intervals) -> bool:
    if rule.name in because and _left_without(case, rule.name, messaging_window.grounded(case)):
        return True
    # Blamed for restricting somewhere is not enough: it must leave nothing of the grounds' own times.
    told = rule.name in because or because == (messaging_window.NAME,)
    return told and not usable(rule.narrow(case, grounded), case.remaining)


def _left_without(case: Case, relaxed: str, times: Intervals) -> bool:
    for hold in HOLDS:
        if not times:
            return False
        if hold.name not in (relaxed, handover.NAME):
            times = hold.narrow(case, times)
    return bool(usable(times, case.remaining))
