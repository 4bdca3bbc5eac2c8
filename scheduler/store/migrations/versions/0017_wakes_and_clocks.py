"""What waits is woken by page and in chunks, whatever ended; workers whose clocks are wrong say so.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_PARKED = "state = 'scheduled' AND due_at IS NULL AND wakes_on = 'resume'"


def upgrade() -> None:
    op.create_index(
        "message_scheduled_page", "message", ["page_id", "id"], postgresql_where=sa.text("state = 'scheduled'")
    )
    op.drop_index("message_parked_resume", table_name="message")
    op.add_column("wake_order", sa.Column("wakes_on", sa.String(), nullable=True))
    op.add_column("wake_order", sa.Column("woken", sa.BigInteger(), nullable=False, server_default="0"))
    # Each order is of one page now: one of all pages, or of a campaign, becomes one of each page.
    op.execute(
        "INSERT INTO wake_order (page_id, campaign_id, category, wakes_on, cursor, ordered_at) "
        "SELECT p.id, w.campaign_id, w.category, 'resume', w.cursor, w.ordered_at "
        "FROM wake_order w JOIN page p ON p.id = coalesce(w.page_id, p.id)"
    )
    op.execute("DELETE FROM wake_order WHERE wakes_on IS NULL")
    op.alter_column("wake_order", "page_id", nullable=False)
    op.create_table(
        "clock_skew",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("ahead_ms", sa.BigInteger(), nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )


def downgrade() -> None:
    op.drop_table("clock_skew")
    op.execute("DELETE FROM wake_order WHERE wakes_on IS DISTINCT FROM 'resume'")
    op.alter_column("wake_order", "page_id", nullable=True)
    op.drop_column("wake_order", "woken")
    op.drop_column("wake_order", "wakes_on")
    op.create_index("message_parked_resume", "message", ["id"], postgresql_where=sa.text(_PARKED))
    op.drop_index("message_scheduled_page", table_name="message")
