"""A page that sends and hears nothing: whatever people answer, opt-outs too, does not reach us."""

from __future__ import annotations

from sqlmodel import Session

from scheduler.clock import real_seconds
from scheduler.facts.ops import deaf_pages
from scheduler.logs import complain, get_logger

_log = get_logger(__name__)

#: Real seconds that a page may send before something must have come back: the platform unsubscribes an app whose
#: webhook has failed for an hour.
SETTLED = 900.0


def tell_deaf_pages(session: Session, now: int) -> int:
    """Log an error, once a minute, for each page that sends and has received nothing for a quarter of an hour.

    Returns how many there are. ``duly_page_deaf`` and the alerts of ``duly ops status`` tell the same.
    """
    found = deaf_pages(session, now, now - real_seconds(SETTLED))
    for page in found:
        complain(
            _log, "page_deaf", page.page, page=page.page, sent=page.sent, since=page.since, last_event=page.last_event,
            way_out="check the page's webhook subscription and its app's secret",
        )  # fmt: skip
    return len(found)
