"""Whether work goes on: by what was done, not by who answers. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.facts.counting import within

#: Real seconds after which a periodic task that did not run is silent: tick runs every second, sweep every five.
BEAT_LIMITS = {"tick": 15.0, "sweep": 60.0}

_BEATS = text("SELECT task, ran_at FROM beat")
#: Real seconds that each look for a page's last movement may take.
PATIENCE = 0.5
_FREE = text("""
    SELECT id, external_id FROM page p
    WHERE id = ANY(:pages) AND stopped_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM kill_switch k WHERE k.released_at IS NULL AND k.campaign_id IS NULL AND k.category IS NULL
        AND (k.page_id IS NULL OR k.page_id = p.id))
    ORDER BY id
""")
#: Of each page by itself, one row from its end of an index: however much the others send, a quiet one is not lost.
#: (By time, not by id: ordered by id, PostgreSQL would read the primary key backwards until it met the quiet page.)
_BEGUN = text("""
    SELECT page_id, newest.at FROM unnest(CAST(:pages AS integer[])) AS wanted (page_id) CROSS JOIN LATERAL (
        SELECT begun_at AS at FROM attempt a WHERE a.page_id = wanted.page_id ORDER BY a.begun_at DESC LIMIT 1) newest
""")
_DECIDED = text("""
    SELECT page_id, newest.at FROM unnest(CAST(:pages AS integer[])) AS wanted (page_id) CROSS JOIN LATERAL (
        SELECT l.at FROM message_log l WHERE l.page_id = wanted.page_id ORDER BY l.at DESC LIMIT 1) newest
""")


def beat_ages(session: Session, now: int) -> dict[str, int]:
    """Seconds of Duly's clock since each periodic task last ran, by its name; those that never ran are left out."""
    return {row.task: max(0, now - int(row.ran_at)) for row in session.connection().execute(_BEATS)}


def silent_tasks(ages: dict[str, int], rate: float) -> list[str]:
    """What is wrong with beat, in words; ``rate`` is Duly's clock's. Nothing wrong: empty."""
    wrong = []
    for task, limit in BEAT_LIMITS.items():
        age = ages.get(task)
        if age is None:
            wrong.append(f"{task} has never run: beat or the workers do not run")
        elif age / rate > limit:
            wrong.append(f"{task} last ran {age / rate:.0f} s ago: beat or the workers do not run")
    return wrong


@dataclass(slots=True, kw_only=True)
class Stalled:
    """A page whose messages could go, and do not."""

    page: str
    #: Seconds for which its oldest due message has been due, and since something was last begun or decided; None:
    #: never.
    due_for: int
    idle_for: int | None

    @property
    def words(self) -> str:
        """What is wrong, for a person."""
        begun = "nothing was ever begun" if self.idle_for is None else f"the last was begun {self.idle_for} s ago"
        return f"messages have been due for {self.due_for} s and {begun}: the workers do not get on"


def stalled_pages(
    session: Session,
    oldest: Mapping[tuple[int, str], int],
    now: int,
    limit: int,
    *,
    waiting: Collection[int] = (),
    free_since: Mapping[int, int] | None = None,
) -> list[Stalled]:
    """The pages on which something has been due for more than ``limit`` seconds while nothing was begun there.

    ``oldest`` is as ``ops.oldest_due`` tells it. Pages that are stopped or under a kill switch wait for a person, and
    those ``waiting`` for the platform: they are left out. ``free_since`` tells of pages that waited until lately.
    """
    since: dict[int, int] = {}
    for (page, _), at in oldest.items():
        since[page] = min(at, since.get(page, at))
    freed = free_since or {}
    slow = [
        page
        for page, at in since.items()
        if page not in waiting and now - max(at, freed.get(page, at)) > limit
    ]  # fmt: skip
    if not slow:
        return []
    free = {row.id: row.external_id for row in session.connection().execute(_FREE, {"pages": slow})}
    last = _last_moved(session, free)
    return [
        Stalled(
            page=name, due_for=now - since[page], idle_for=now - last[page] if page in last else None
        )
        for page, name in free.items()
        if page not in last or now - last[page] > limit
    ]  # fmt: skip


def _last_moved(session: Session, pages: Collection[int]) -> dict[int, int]:
    """When each page last had something begun, or put aside, by a delivery."""
    last: dict[int, int] = {}
    if not pages:
        return last
    for statement in (_BEGUN, _DECIDED):
        # Without the second answer, a page on which all is put off may seem to stand still; a person looks.
        for row in within(session, PATIENCE, statement, {"pages": list(pages)}) or ():
            last[row.page_id] = max(int(row.at), last.get(row.page_id, int(row.at)))
    return last
