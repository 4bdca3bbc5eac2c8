"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import text

from scheduler.errors import Unavailable
from scheduler.store import database, migrate

router = APIRouter(tags=["health"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers. Asks nobody else."""
    return {"status": "ok"}


@router.get("/readyz")
def ready() -> dict[str, str]:
    """The database answers and has the tables this version needs. 503 otherwise."""
    with database.session() as session:
        found = session.connection().execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar_one()
        revision = (
            session.connection().execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
            if found
            else None
        )
    if revision != migrate.head():
        raise Unavailable(
            f"the database is at revision {revision or 'none'}, this version needs {migrate.head()}",
            way_out="run `duly db upgrade`",
        )
    return {"status": "ready", "revision": str(revision)}
