"""When each periodic task last ran, so that silence shows."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

_RAN = text("""
    INSERT INTO beat (task, ran_at) VALUES (:task, :now)
    ON CONFLICT (task) DO UPDATE SET ran_at = greatest(beat.ran_at, excluded.ran_at)
""")


def record_beat(session: Session, task: str, now: int) -> None:
    """Note that ``task`` ran."""
    session.execute(_RAN, {"task": task, "now": now})


def last_beats(session: Session) -> dict[str, int]:
    """When each periodic task last ran, by its name."""
    return {row.task: int(row.ran_at) for row in session.execute(text("SELECT task, ran_at FROM beat"))}
