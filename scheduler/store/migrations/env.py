"""Alembic's entry: runs on the connection that ``scheduler.store.migrate`` hands over, in one transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import text
from sqlmodel.sql.sqltypes import AutoString

from scheduler.store.metadata import metadata


def _render(kind: str, item: object, _autogenerate: Any) -> str | Literal[False]:
    # A migration must not change when SQLModel does: its string is a plain one.
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata(),
    compare_server_default=True,
    transactional_ddl=True,
    render_item=_render,
)
with context.begin_transaction():
    # A migration that waits behind a long transaction must not queue everybody else up behind itself.
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    context.run_migrations()
