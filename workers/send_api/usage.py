"""How much of its limits the platform says is used, and when it lets us back in. Headers come with every answer.

Sources: the platform's "Rate limiting" pages (2026-03-23): percentages, throttled at 100; ``X-App-Usage`` of the app,
``X-Page-Usage`` of the page, ``X-Business-Use-Case-Usage`` of a business by type, with minutes until access is back.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from scheduler import clock

#: From this percentage on an answer of success is a warning: calls that are throttled prolong the throttle.
NEAR = 95.0
#: Business use cases that messages count for. Others (ads, leads, …) say nothing about sending.
_CASES = ("messenger", "pages")
_FIGURES = ("call_count", "total_time", "total_cputime")
#: Real seconds that a page waits at most because an answer said so, however far away the instant is that it names.
LONGEST_WAIT = 86_400.0

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the headers of one answer say."""

    #: The highest percentage of the page's own limits, and of the app's, which all its pages share.
    page: float = 0.0
    app: float = 0.0
    #: Real seconds that it asks to wait: ``Retry-After``, or until access is regained of a limit that is used up.
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
    after = headers.get("Retry-After")
    page, app = headers.get("X-Page-Usage"), headers.get("X-App-Usage")
    cases = headers.get("X-Business-Use-Case-Usage")
    if not (after or page or app or cases):
        return NO_USAGE
    waits = [_retry_after(after, headers.get("Date"))] if after else []
    pages = [_highest(one) for one in _documents(page)]
    for document in _documents(cases):
        for case in _cases(document):
            used = _highest(case)
            pages.append(used)
            # In minutes. Of a limit that is far away it says nothing; without figures it is taken at its word.
            if used >= NEAR or not any(name in case for name in _FIGURES):
                waits.append(60.0 * _number(case.get("estimated_time_to_regain_access")))
    apps = [_highest(one) for one in _documents(app)]
    return Usage(page=max(pages, default=0.0), app=max(apps, default=0.0), wait=max(waits, default=0.0) or None)


def _retry_after(told: str, date: str | None) -> float:
    """Real seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3: seconds, or a date); 0 where it asks for none.

    A date counts from the answer's own ``Date``: what matters is how long, whatever our clock shows.
    """
    told = told.strip()
    if _SECONDS.fullmatch(told):
        return min(float(told), LONGEST_WAIT)
    until, since = _instant(told), _instant(date or "")
    if until is None:
        return 0.0
    return min(max(0.0, until - (clock.machine() if since is None else since)), LONGEST_WAIT)


def _instant(written: str) -> float | None:
    try:
        # Without an offset it is GMT, as all of these are.
        found = parsedate_to_datetime(written)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _cases(usage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cases in usage.values():
        for case in cases if isinstance(cases, list) else ():
            if isinstance(case, dict) and case.get("type", "messenger") in _CASES:
                yield case


def _highest(usage: dict[str, Any]) -> float:
    return max(_number(usage.get(name)) for name in _FIGURES)


def _number(value: object) -> float:
    if isinstance(value, str) and _SECONDS.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if math.isfinite(value) and 0 <= value < 1e9 else 0.0


def _documents(header: str | None) -> Iterator[dict[str, Any]]:
    """The objects in a header; one that came twice has one behind the other, with a comma."""
    rest = (header or "").strip()
    while rest:
        try:
            document, end = _DECODER.raw_decode(rest)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            yield document
        rest = rest[end:].lstrip(", \t")
