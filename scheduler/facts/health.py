"""Whether work goes on: by what was done, not by who answers. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text
from sqlmodel import Session

#: Real seconds after which a periodic task that did not run is silent: tick runs every second, sweep every five.
BEAT_LIMITS = {"tick": 15.0, "sweep": 60.0}

_BEATS = text("SELECT task, ran_at FROM beat")


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


def stalled(oldest: Mapping[str, int], last: int | None, now: int, limit: int) -> str | None:
    """In words, that something has been due for more than ``limit`` seconds while nothing was begun; else None.

    ``oldest``: lane → since when its oldest due message is due; ``last``: when the newest attempt began.
    """
    if not oldest or now - min(oldest.values()) <= limit:
        return None
    if last is not None and now - last <= limit:
        return None
    begun = "nothing was ever begun" if last is None else f"the last was begun {now - last} s ago"
    return f"messages have been due for {now - min(oldest.values())} s and {begun}: the workers do not get on"
