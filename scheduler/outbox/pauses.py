"""When a message that was proven not to be sent is tried again, and which messages count as tried.

Full jitter over a doubling span: whoever failed together does not come back together. Never after the last instant at
which it could still go: there it is decided anew, like everywhere.
"""

from __future__ import annotations

import random

from scheduler.clock import guard_seconds, real_seconds

#: Real seconds: the span of the first pause, doubling up to the last.
FIRST, LAST = 2.0, 300.0
#: Real seconds for which a message waits for the page's budget of retries to grow.
BUDGET_SPAN = 10.0
#: The platform could not be reached: the next try is a retry, of which a page has a budget.
RETRIED = frozenset({"unreachable_platform", "connected_too_late", "retry_budget"})
#: There was no budget for it.
NO_BUDGET = "retry_budget"


def pause_seconds(tries: int) -> int:
    """How long to wait after the ``tries``-th try (from 1) in a row that failed, seconds on Duly's clock."""
    return real_seconds(random.uniform(0.0, min(LAST, FIRST * 2.0 ** min(max(tries, 1) - 1, 16))))


def budget_pause_seconds() -> int:
    """How long to wait for the budget, seconds on Duly's clock."""
    return real_seconds(random.uniform(1.0, BUDGET_SPAN))


def next_try(now: int, pause: int, deadline: int | None, expires_at: int | None) -> int:
    """``pause`` from ``now``, but no later than the last instant at which it may still begin."""
    ends = [end for end in (deadline, expires_at) if end is not None]
    latest = min(ends) - guard_seconds() - 1 if ends else now + pause
    return max(now, min(now + pause, latest))
