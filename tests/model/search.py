"""Every world that the model can reach, breadth first, what must hold in each, the way to where it does not."""

from __future__ import annotations

import time
from dataclasses import dataclass

from scheduler.outbox.states import ACCEPTED
from tests.model.ledger_model import Ledger
from tests.model.world import OVER, UNUSED, World

#: States that say that the platform does not have it.
_NOT_SENT = ("scheduled", "due", "refused", "denied", "expired", "cancelled")


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search found. ``trace`` leads to the first world that breaks an invariant; empty when none does."""

    states: int
    steps: int
    seconds: float
    broken: str = ""
    trace: tuple[str, ...] = ()


def broken_in(w: World, *, errs: bool, token: bool = False) -> str:
    """The invariant that this world breaks; empty: none.

    ``errs``: the platform's answers may be wrong. ``token``: a token is all that messages go on.
    """
    if w.wrong:
        return w.wrong
    if token and sum(attempt.has for attempt in w.attempts) > 1:
        return "the token went twice"
    if token and w.spent and all(attempt.outcome in UNUSED for attempt in w.attempts):
        return "the token is used up, and nothing went on it"
    accepted = [0] * len(w.messages)
    for attempt in w.attempts:
        state = w.messages[attempt.message].state
        accepted[attempt.message] += attempt.has
        if attempt.told and state not in ACCEPTED:
            return f"it is known to have arrived and is {state}"
        if attempt.outcome == "sent" and not attempt.has:
            return "an attempt is sent that the platform never had"
        if attempt.outcome in ("refused", "not_sent") and attempt.has and not errs:
            return f"an attempt is {attempt.outcome} that the platform has"
    for m, message in enumerate(w.messages):
        if message.state in ACCEPTED and not accepted[m]:
            return f"it is {message.state} and never arrived"
        if message.state in ACCEPTED and not any(a.outcome == "sent" for a in w.attempts if a.message == m):
            return f"it is {message.state}, and no attempt of it is"
        if message.state in _NOT_SENT and accepted[m] and not errs:
            return f"it is {message.state} and has arrived"
        if not message.logged:
            return "a move without its row"
        if message.state in ACCEPTED and ACCEPTED.index(message.state) < message.heard:
            return f"it is {message.state}, and more than that was told"
    if not errs:
        if any(count > 1 for count in accepted):
            return "accepted twice"
        if sum(accepted) > 1 + w.warned:
            return "accepted twice, and nobody was told that it may be"
    return ""


def search(ledger: Ledger, *, limit: int = 1_000_000) -> Found:
    """Explore everything. Raises RuntimeError beyond ``limit`` states: the scope has no end."""
    began = time.perf_counter()
    start = ledger.start()
    came: dict[World, tuple[World, str] | None] = {start: None}
    bound: dict[World, list[World]] = {}
    layer, steps = [start], 0

    def found(broken: str = "", at: World | None = None) -> Found:
        trace: list[str] = []
        while at is not None and (way := came[at]) is not None:
            at = way[0]
            trace.append(way[1])
        return Found(
            states=len(came), steps=steps, seconds=time.perf_counter() - began, broken=broken,
            trace=tuple(reversed(trace)),
        )  # fmt: skip

    while layer:
        following = []
        for world in layer:
            for name, is_bound, after in ledger.steps(world):
                steps += 1
                if is_bound:
                    bound.setdefault(after, []).append(world)
                if after in came:
                    continue
                came[after] = (world, name)
                if broken := broken_in(after, errs=ledger.scope.errs, token=ledger.scope.token):
                    return found(broken, after)
                following.append(after)
        if len(came) > limit:
            raise RuntimeError(f"{ledger.scope.name}: more than {limit} states")
        layer = following
    # Never lost: from everywhere, what is bound to come leads to an end of every message.
    ends = [world for world in came if world.messages and all(each.state in OVER for each in world.messages)]
    leads = set(ends)
    while ends:
        for before in bound.get(ends.pop(), ()):
            if before not in leads:
                leads.add(before)
                ends.append(before)
    lost = next((world for world in came if world not in leads), None)
    return found() if lost is None else found("it is lost: nothing that is bound to come ends it", lost)
