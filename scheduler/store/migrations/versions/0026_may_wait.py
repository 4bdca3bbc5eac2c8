"""Messages that may wait for the person instead of being denied, and which campaigns let theirs wait.

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("may_wait", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("campaign", sa.Column("may_wait", sa.Boolean(), nullable=False, server_default=sa.true()))
    # What was launched before was launched under the other promise. Follow-ups have an end, so theirs may wait.
    op.execute("UPDATE campaign SET may_wait = false WHERE status <> 'draft'")
    op.execute(
        "UPDATE message SET may_wait = true WHERE event_id IS NOT NULL AND expires_at IS NOT NULL "
        "AND state IN ('scheduled', 'due')"
    )


def downgrade() -> None:
    op.drop_column("campaign", "may_wait")
    op.drop_column("message", "may_wait")
