"""Pages that could send and do not, as readiness, metrics and alerts tell of them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session

from scheduler import clock
from scheduler.facts.health import Stalled, stalled_pages
from scheduler.lineage.identity import held_words
from scheduler.settings import get_settings
from scheduler.throttle_state import ThrottleState

#: How many pages are named in one sentence.
_NAMED = 5


def stalls(
    session: Session,
    oldest: Mapping[tuple[int, str], int],
    states: Mapping[int, ThrottleState] | None,
    now: int,
) -> list[Stalled]:
    """The pages that stand still though neither the platform nor an operator has them wait.

    ``states`` is what stands beside the pages in Redis; None where that does not answer, which is told by itself.
    """
    if held_words(session):
        # The whole database waits for somebody, which is told by itself.
        return []
    known = states or {}
    return stalled_pages(
        session,
        oldest,
        now,
        clock.real_seconds(get_settings().ready_due),
        waiting=[page for page, state in known.items() if state.free_for == 0.0],
        free_since={
            page: now - clock.real_seconds(state.free_for)
            for page, state in known.items()
            if state.free_for is not None
        },
    )


def told(found: list[Stalled]) -> list[str]:
    """The first of them in words, and how many more there are."""
    words = [f"page {each.page}: {each.words}" for each in found[:_NAMED]]
    return [*words, f"and {len(found) - _NAMED} more pages"] if len(found) > _NAMED else words
