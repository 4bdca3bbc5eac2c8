"""Alembic's entry: runs on the connection that ``scheduler.store.migrate`` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from scheduler.store.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    compare_server_default=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    # A migration that waits behind a long transaction must not queue everybody else up behind itself.
    context.execute("SET LOCAL lock_timeout = '10s'")
    context.run_migrations()
