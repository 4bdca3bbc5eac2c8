"""Which revision of the database this version works with, and what is said where it is another one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from scheduler.errors import Unavailable

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def known() -> tuple[str, ...]:
    """The revisions that this version knows, oldest first. From the files' names: to load them takes long."""
    return tuple(sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py")))


def needed() -> str:
    """The revision that this version works with: the newest it knows."""
    return known()[-1]


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    if not connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar_one():
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return str(found) if found is not None else None


def unfit(found: str | None) -> Unavailable | None:
    """Why this version cannot work with a database at revision ``found``; None where it can."""
    if found == needed():
        return None
    if found is None or found < needed():
        return Unavailable(
            f"the database is at revision {found or 'none'}, this version needs {needed()}",
            way_out="run `duly db upgrade`",
        )
    return Unavailable(
        f"the database is at revision {found}, which is newer than this version knows ({needed()})",
        way_out="start the version of Duly that upgraded it",
    )


def check_revision(connection: Connection) -> None:
    """Raise Unavailable where this version cannot work with the database as it is."""
    error = unfit(revision_of(connection))
    if error is not None:
        raise error
