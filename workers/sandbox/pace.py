"""The platform's limit on calls a second, per page, in real seconds."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque

from workers.sandbox.graph_errors import THROTTLED, THROTTLED_HARD, GraphError

#: Calls a second of one page, for texts.
LIMIT = 300


class Pace:
    """Counts the calls of the last second."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def refusal_of(self, page_id: str) -> GraphError | None:
        """Count a call of the page; the refusal when it is one too many. Refused calls count too."""
        calls, present = self._calls[page_id], time.monotonic()
        calls.append(present)
        while calls[0] <= present - 1:
            calls.popleft()
        if len(calls) <= self._limit:
            return None
        return THROTTLED if len(calls) <= 2 * self._limit else THROTTLED_HARD

    def usage(self, page_id: str, refusal: GraphError) -> str:
        """The header ``X-Business-Use-Case-Usage`` of a refused call: percentages, and minutes to wait."""
        percent = 100 * len(self._calls[page_id]) // max(1, self._limit)
        wait = 1 if refusal is THROTTLED_HARD else 0
        use = {"type": "messenger", "call_count": percent, "total_cputime": 1, "total_time": 1}
        return json.dumps({page_id: [{**use, "estimated_time_to_regain_access": wait}]})
