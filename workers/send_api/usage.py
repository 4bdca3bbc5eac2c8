"""How much of its limits the platform says is used, and when it lets us back in. Headers come with every answer.

Sources: the platform's "Rate limiting" pages (2026-03-23): percentages, throttled at 100; ``X-App-Usage`` of the app,
``X-Page-Usage`` of the page, ``X-Business-Use-Case-Usage`` of a business by type, with minutes until access is back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: From this percentage on an answer of success is a warning: calls that are throttled prolong the throttle.
NEAR = 95.0
#: Business use cases that messages count for. Others (ads, leads, …) say nothing about sending.
_CASES = ("messenger", "pages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the headers of one answer say."""

    #: The highest percentage of the page's own limits, and of the app's, which all its pages share.
    page: float = 0.0
    app: float = 0.0
    #: Real seconds until access is regained, where it says so.
    wait: float | None = None

    @property
    def near(self) -> bool:
        """Whether to pause although the message was accepted."""
        return max(self.page, self.app) >= NEAR or self.wait is not None

    @property
    def of_app(self) -> bool:
        """Whether it is the app's limit that is near: every page of it is meant."""
        return self.app >= NEAR


NO_USAGE = Usage()


def read_usage(headers: Mapping[str, str]) -> Usage:
    """What the headers say. Total: what cannot be read says nothing."""
    after = headers.get("Retry-After", "")
    waits = [float(after)] if after.isascii() and after.isdigit() and len(after) < 10 else []
    page, app = headers.get("X-Page-Usage"), headers.get("X-App-Usage")
    cases = headers.get("X-Business-Use-Case-Usage")
    if not (waits or page or app or cases):
        return NO_USAGE
    pages = [_highest(_document(page))]
    for case in _cases(_document(cases)):
        pages.append(_highest(case))
        # In minutes.
        waits.append(60.0 * _number(case.get("estimated_time_to_regain_access")))
    return Usage(page=max(pages), app=_highest(_document(app)), wait=max(waits, default=0.0) or None)


def _cases(usage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cases in usage.values():
        for case in cases if isinstance(cases, list) else ():
            if isinstance(case, dict) and case.get("type", "messenger") in _CASES:
                yield case


def _highest(usage: dict[str, Any]) -> float:
    return max(_number(usage.get(name)) for name in ("call_count", "total_time", "total_cputime"))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if math.isfinite(value) and 0 <= value < 1e9 else 0.0


def _document(header: str | None) -> dict[str, Any]:
    try:
        document = json.loads(header) if header else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
